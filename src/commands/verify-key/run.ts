/** @module `verify-key`: proves step by step what is needed of the key, over one inspection. */
import { buildInfo } from "../../base/build-info.ts";
import { countOf } from "../../base/words.ts";
import type { CommandContext } from "../../cli/command.ts";
import type { ExitName } from "../../cli/exit-code.ts";
import { fingerprint } from "../../key/identity/fingerprint.ts";
import type { VersionRecord } from "../../key/registry/record.ts";
import { assess, FINDINGS } from "../../key/rotation/finding.ts";
import { type HandleMaker, handleMaker } from "../../key/rotation/key-handles.ts";
import { makeMarker, markerDecrypts } from "../../key/rotation/marker.ts";
import type { TransitClient } from "../../openbao/transit/client.ts";
import type { KeyMetadata } from "../../openbao/transit/key-metadata.ts";
import { profileDrifts, upsertDrift } from "../../openbao/transit/key-profile.ts";
import { type Check, checkReport, type Finding, failure, findingOf, runChecks, warning } from "../check.ts";
import { inspectKey, type KeyInspection } from "../key-inspection.ts";
import type { VerifyKeyFlags } from "./command.ts";

export const VERIFY_IDS = ["key.metadata", "key.profile", "key.registry", "key.markers"] as const;
type VerifyId = (typeof VERIFY_IDS)[number];
type VerifyCheck = Check<VerifyId, KeyInspection>;

const metadata: VerifyCheck = {
  id: "key.metadata",
  proves: "OpenBao answers, and the key exists.",
  needs: [],
  whenFailed: "bao-kms-provider doctor --config FILE",
  run: ({ openbao, config }) => {
    if (openbao.kind === "unasked") {
      throw openbao.error;
    }
    if (openbao.answer.kind === "missing") {
      return {
        findings: [
          failure(
            "key_missing",
            "the Transit key or its mount does not exist in OpenBao",
            `compare transit.mountPath and transit.keyName with: bao list ${config.transit.mountPath}/keys`,
            "transit_key_missing",
          ),
        ],
      };
    }
    const { latestVersion, minDecryptionVersion, minEncryptionVersion } = openbao.answer.key;
    return {
      detail: `latest version ${latestVersion}, min_decryption_version ${minDecryptionVersion}, min_encryption_version ${minEncryptionVersion}`,
    };
  },
};

const profile: VerifyCheck = {
  id: "key.profile",
  proves: "Key and mount have the required settings.",
  needs: ["key.metadata"],
  whenFailed: "bao read MOUNT/keys/KEY",
  run: (inspection) => {
    const { answer } = asked(inspection);
    const names = inspection.config.transit;
    const upsert = upsertDrift(answer.upsertDisabled, names);
    return {
      detail: answer.key.type,
      findings: [...profileDrifts(answer.key, names), ...(upsert === undefined ? [] : [upsert])].map(
        ({ code, message, advice }) => failure(code, message, advice, "transit_policy_denied"),
      ),
    };
  },
};

const registry: VerifyCheck = {
  id: "key.registry",
  proves: "The key's versions and limits agree with this node's registry.",
  needs: ["key.metadata"],
  whenFailed: "bao-kms-provider rotation-plan --config FILE",
  run: (inspection) => {
    const { state, config } = inspection;
    if (state.kind === "missing") {
      return { skipped: "this node has no registry yet" };
    }
    const { answer } = asked(inspection);
    const { record, checkpoint } = state.stored;
    const known = new Set<string>(profileDrifts(answer.key, config.transit).map(({ code }) => code));
    return {
      detail: `generation ${record.generation}, ${countOf(record.versions.length, "version")}, checkpoint ${checkpoint}`,
      findings: assess(record, answer, config.transit)
        .filter(({ code }) => !known.has(code) && code !== "upsert_enabled")
        .map(({ code, message, advice }) =>
          FINDINGS[code].effect === "notice"
            ? warning(code, message, advice)
            : failure(code, message, advice, "registry_invalid"),
        ),
    };
  },
};

const markers: VerifyCheck = {
  id: "key.markers",
  proves: "Every version that is not removed decrypts its marker.",
  needs: ["key.metadata"],
  whenFailed: "restore OpenBao to a state that has these versions",
  run: async (inspection, signal) => {
    const { state, identity } = inspection;
    if (state.kind === "missing") {
      return { skipped: "this node has no registry yet" };
    }
    const { access, answer } = asked(inspection);
    const handles = handleMaker(identity, buildInfo.version);
    const needed = state.stored.record.versions.filter(
      (each) => each.state !== "removed" && each.state !== "rejected",
    );
    const findings: Finding[] = [];
    for (const version of needed) {
      const found = await verifyVersion(version, answer.key, handles, access.transit, signal);
      if (found !== undefined) {
        findings.push(found);
      }
    }
    const proven = needed.length - findings.length;
    return { detail: `${proven} of ${countOf(needed.length, "version")} proven`, findings };
  },
};

export const VERIFY_CHECKS: readonly VerifyCheck[] = [metadata, profile, registry, markers];

export function verifyKey(flags: VerifyKeyFlags, context: CommandContext): Promise<ExitName> {
  return inspectKey(flags, context, async (inspection) => {
    const { onResult, end } = checkReport(context.output, flags.output, VERIFY_IDS);
    const results = await runChecks(VERIFY_CHECKS, inspection, context.signal, onResult);
    const isGood = end(results, () => ({
      partial: inspection.openbao.kind === "unasked",
      fingerprint: fingerprint(inspection.identity),
    }));
    return isGood ? "good" : "refused";
  });
}

/** A kept marker proves the past; a version without one, skipped between two promotions, is tried with a new one. */
async function verifyVersion(
  record: VersionRecord,
  key: KeyMetadata,
  handles: HandleMaker,
  transit: TransitClient,
  signal: AbortSignal,
): Promise<Finding | undefined> {
  const { version, marker } = record;
  try {
    if (marker !== undefined) {
      return (await markerDecrypts(transit, handles.handleOf(record), marker, signal))
        ? undefined
        : failure(
            "marker_refused",
            `version ${version}: the stored marker does not decrypt, so data under this version cannot be read`,
            "check whether the key's material was replaced (restore, import), then restore OpenBao",
            "transit_key_missing",
          );
    }
    if (version < key.minEncryptionVersion) {
      return warning(
        "marker_absent",
        `version ${version}: no marker is stored, and min_encryption_version prevents a new one`,
        "this node never encrypted under this version; bao-kms-provider audit shows whether data is stored under it",
      );
    }
    await makeMarker(transit, handles.handleOf(record), signal);
    return undefined;
  } catch (error) {
    signal.throwIfAborted();
    const found = findingOf(error, "bao read MOUNT/keys/KEY");
    return { ...found, message: `version ${version}: ${found.message}` };
  }
}

function asked({ openbao }: KeyInspection) {
  if (openbao.kind !== "asked" || openbao.answer.kind !== "key") {
    throw new TypeError("a check runs before key.metadata has passed");
  }
  return { access: openbao.access, answer: openbao.answer };
}
