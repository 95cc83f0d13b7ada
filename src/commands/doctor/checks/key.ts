/** @module `key_id.deterministic` and `registry.state`: what this node recorded of the key, against what OpenBao shows. */
import { dirname } from "node:path";
import type { ProviderConfig } from "../../../config/schema.ts";
import { fingerprint } from "../../../key/identity/fingerprint.ts";
import { deriveKeyId } from "../../../key/identity/key-id.ts";
import { activeVersion, originOf, type RegistryRecord } from "../../../key/registry/record.ts";
import { assess, FINDINGS } from "../../../key/rotation/finding.ts";
import type { KeyMetadata } from "../../../openbao/transit/key-metadata.ts";
import { profileDrifts } from "../../../openbao/transit/key-profile.ts";
import { configIdentity, readConfiguredRegistry } from "../../../provider/registry.ts";
import { type Finding, failure, raised, warning, withAdvice } from "../../check.ts";
import { accessProblem } from "../../service-identity.ts";
import type { DoctorCheck } from "../context.ts";

export const keyIdDeterministic: DoctorCheck = {
  id: "key_id.deterministic",
  proves:
    "Each version of the key has one key_id of its own, and this configuration names the same key as those it is compared with.",
  needs: ["transit.metadata"],
  whenFailed: "compare transit.keyIdScope, openbao.instanceId and openbao.namespace with the other nodes",
  run: (context) => {
    const scope = configIdentity(context.fact("loaded").config);
    const { versions } = context.fact("metadata");
    const ids = versions.map((version) => deriveKeyId(scope, version));
    const mark = fingerprint(scope);
    const expected = context.options.expectedFingerprint;
    return {
      detail: `fingerprint ${mark}`,
      findings: raised(
        (new Set(ids).size !== ids.length || versions.length === 0) &&
          failure(
            "key_id_collision",
            "two versions of the key have the same key_id",
            "report this as a defect",
          ),
        expected !== undefined &&
          expected !== mark &&
          failure(
            "fingerprint_differs",
            `the fingerprint is ${mark}, not the expected one: this node would not read what the others write`,
            "compare the identity fields of both nodes: bao-kms-provider config",
            "config_invalid",
          ),
      ),
    };
  },
};

export const registryState: DoctorCheck = {
  id: "registry.state",
  proves:
    "The registry is whole, belongs to this configuration, and agrees with what OpenBao shows of the key.",
  needs: ["config.validate"],
  whenFailed:
    "copy the registry and its checkpoint from a healthy node of the same control plane, or: bao-kms-provider rebuild-registry",
  run: async (context) => {
    const { config } = context.fact("loaded");
    const { self } = context.options;
    const service = context.fact("service");
    const directoryPath = dirname(config.state.path);
    const install = `install -d -o ${service.name} -g ${service.gid ?? service.uid} -m 0750 ${directoryPath}`;
    const state = await readConfiguredRegistry(config, self.uid).catch((error: unknown) => {
      throw withAdvice(error, "state_directory_missing", () => install);
    });
    const stored = state.kind === "found" ? state.stored : undefined;
    context.learn("registry", stored);
    const blocked = accessProblem(directoryPath, "write", service);
    const directory = raised(
      blocked !== undefined && failure("state_unwritable", blocked, install, "registry_invalid"),
    );
    const key = context.knows("metadata") ? context.fact("metadata") : undefined;
    const ofKey = key === undefined ? [] : keyFindings(stored?.record, key, config);
    return {
      findings: [...directory, ...ofKey],
      detail:
        stored === undefined
          ? "none yet"
          : `generation ${stored.record.generation}, active version ${activeVersion(stored.record).version}, origin ${originOf(stored.record)}`,
    };
  },
};

/** What the key shows against what is recorded; the key's profile has checks of its own. */
function keyFindings(
  record: RegistryRecord | undefined,
  key: KeyMetadata,
  { bootstrap, transit }: ProviderConfig,
): readonly Finding[] {
  if (record === undefined) {
    return withoutRegistry(key, bootstrap.missingState);
  }
  const profile = new Set<string>(profileDrifts(key, transit).map(({ code }) => code));
  return assess(record, { kind: "key", key, upsertDisabled: true }, transit)
    .filter(({ code }) => !profile.has(code))
    .map(({ code, message, advice }) =>
      FINDINGS[code].effect === "notice"
        ? warning(code, message, advice)
        : failure(code, message, advice, "registry_invalid"),
    );
}

/** A first start makes the registry itself, unless the key was rotated before: then it cannot know what is in use. */
function withoutRegistry(
  { latestVersion }: KeyMetadata,
  missingState: ProviderConfig["bootstrap"]["missingState"],
): readonly Finding[] {
  if (latestVersion === 1) {
    return [];
  }
  return missingState === "observe"
    ? [
        warning(
          "registry_observed_start",
          `there is no registry and the key is at version ${latestVersion}: the next start observes the key before it encrypts`,
          "if this node had a registry, copy the registry and its checkpoint from a healthy node instead",
        ),
      ]
    : [
        failure(
          "registry_rotated_without_state",
          `there is no registry, but the key is at version ${latestVersion}: the versions in use are unknown`,
          "copy the registry and its checkpoint from a healthy node of the same control plane, or: bao-kms-provider rebuild-registry",
          "registry_invalid",
        ),
      ];
}
