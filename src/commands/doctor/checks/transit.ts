/** @module `transit.*`: what the token may do, what the key is, and that it works. */
import { buildInfo } from "../../../base/build-info.ts";
import { handleMaker } from "../../../key/rotation/key-handles.ts";
import { makeMarker } from "../../../key/rotation/marker.ts";
import { profileDrifts, upsertDrift } from "../../../openbao/transit/key-profile.ts";
import { configIdentity } from "../../../provider/registry.ts";
import { failure, raised, warning, withAdvice } from "../../check.ts";
import { forbiddenCapabilities, hasCapability, neededCapabilities } from "../capabilities.ts";
import type { DoctorCheck } from "../context.ts";

export const transitCapabilities: DoctorCheck = {
  id: "transit.capabilities",
  proves: "The token may do what the provider does, and nothing that could lose or leak the key.",
  needs: ["openbao.auth"],
  whenFailed: "bao-kms-provider policy openbao --config FILE | bao policy write NAME -",
  run: async (context, signal) => {
    const { transit } = context.fact("loaded").config;
    const needed = neededCapabilities(transit);
    const forbidden = forbiddenCapabilities(transit);
    const paths = [...new Set([...needed, ...forbidden].map(({ path }) => path))];
    const held = await context.fact("access").capabilities(paths, signal);
    const advice = `bao-kms-provider policy openbao --config ${context.fact("loaded").path} | bao policy write NAME -`;
    return {
      detail: `${needed.length} needed, ${forbidden.length} forbidden`,
      findings: [
        ...needed
          .filter(({ path, capability }) => !hasCapability(held.get(path), capability))
          .map(({ path, capability, purpose }) =>
            failure(
              "capability_missing",
              `the token may not ${purpose}: it lacks ${capability} on ${path}`,
              advice,
              "transit_policy_denied",
            ),
          ),
        ...forbidden
          .filter(({ path, capability }) => hasCapability(held.get(path), capability))
          .map(({ path, capability, purpose }) =>
            failure(
              "capability_excessive",
              `the token may ${purpose}: it has ${capability} on ${path}`,
              `remove it from the role's policies; the complete policy is: ${advice}`,
              "transit_policy_denied",
            ),
          ),
      ],
    };
  },
};

export const transitMetadata: DoctorCheck = {
  id: "transit.metadata",
  proves: "The key exists and its versions can be read.",
  needs: ["openbao.auth"],
  whenFailed: "bao read MOUNT/keys/KEY",
  run: async (context, signal) => {
    const { mountPath, keyName } = context.fact("loaded").config.transit;
    const key = `${mountPath}/keys/${keyName}`;
    const metadata = await context
      .fact("access")
      .transit.readKey(signal)
      .catch((error: unknown) => {
        const absent = withAdvice(
          error,
          "not_found",
          () => "make the key with openbao-setup.sh of the first node, or correct transit.keyName",
        );
        // A policy of least privilege denies every other name.
        throw withAdvice(absent, "permission_denied", (given) => `${given}; or correct transit.keyName`);
      });
    context.learn("metadata", metadata);
    return {
      detail: `latest version ${metadata.latestVersion}`,
      findings: raised(
        metadata.autoRotatePeriodSeconds > 0 &&
          warning(
            "auto_rotate",
            `OpenBao rotates the key automatically every ${metadata.autoRotatePeriodSeconds} s; each rotation makes kube-apiserver write under a new version, unattended`,
            `bao write ${key}/config auto_rotate_period=0, unless this is intended`,
          ),
        metadata.imported &&
          warning(
            "imported_key",
            "the key's material was imported: its creator may have a copy",
            "use a key that OpenBao generated, unless the import is intended",
          ),
      ),
    };
  },
};

export const transitProfile: DoctorCheck = {
  id: "transit.profile",
  proves: "The key has the required type, and cannot be exported, backed up in plaintext or deleted.",
  needs: ["transit.metadata"],
  whenFailed: "bao read MOUNT/keys/KEY",
  run: (context) => {
    const { transit } = context.fact("loaded").config;
    const metadata = context.fact("metadata");
    return {
      detail: metadata.type,
      findings: profileDrifts(metadata, transit).map(({ code, message, advice }) =>
        failure(code, message, advice, "transit_policy_denied"),
      ),
    };
  },
};

export const transitDisableUpsert: DoctorCheck = {
  id: "transit.disable_upsert",
  proves: "A misspelt key name cannot create a new key.",
  needs: ["openbao.auth"],
  whenFailed: "bao write MOUNT/config/keys disable_upsert=true",
  run: async (context, signal) => {
    const { transit } = context.fact("loaded").config;
    const drift = upsertDrift(await context.fact("access").transit.readDisableUpsert(signal), transit);
    return drift === undefined
      ? { detail: "on" }
      : { findings: [failure(drift.code, drift.message, drift.advice, "transit_policy_denied")] };
  },
};

export const transitProbe: DoctorCheck = {
  id: "transit.probe",
  proves: "A marker, which is not secret, encrypts under the latest version and decrypts to itself.",
  needs: ["transit.profile"],
  whenFailed: "see OpenBao's audit log for the refused call",
  run: async (context, signal) => {
    const { config } = context.fact("loaded");
    const latest = context.fact("metadata").versions.at(-1);
    if (latest === undefined) {
      return { skipped: "the key shows no version" };
    }
    const handle = handleMaker(configIdentity(config), buildInfo.version).handleOf(latest);
    await makeMarker(context.fact("access").transit, handle, signal);
    return { detail: `version ${latest.version}` };
  },
};
