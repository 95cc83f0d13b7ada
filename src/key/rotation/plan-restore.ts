/** @module Which removed versions can come back: those that were removed here and that Transit still shows. Pure. */
import { versionList } from "../../base/words.ts";
import type { KeyMetadata } from "../../openbao/transit/key-metadata.ts";
import { type RegistryContent, type VersionRecord, versionOf } from "../registry/record.ts";
import { type Blocker, blocker } from "./usage.ts";

interface RestorePlan {
  readonly restore: readonly VersionRecord[];
  readonly blockers: readonly Blocker[];
}

/** A version that is retired already is no error. */
export function planRestore(
  content: RegistryContent,
  metadata: KeyMetadata,
  wanted: readonly number[],
): RestorePlan {
  const unknown = wanted.find((version) => versionOf(content, version) === undefined);
  const restore = content.versions.filter(
    ({ state, version }) => state === "removed" && wanted.includes(version),
  );
  if (unknown === undefined && restore.length > 0) {
    return { restore, blockers: restore.flatMap((version) => transitBlocker(version, metadata) ?? []) };
  }
  const advice = "name versions that `bao-kms-provider rotation-plan` shows as removed";
  return {
    restore: [],
    blockers: [
      unknown === undefined
        ? blocker(
            "nothing_to_restore",
            `there is nothing to restore: this registry does not have ${versionList(wanted)} as removed`,
            advice,
          )
        : blocker("version_unknown", `version ${unknown} is not in the registry`, advice),
    ],
  };
}

function transitBlocker(
  { version, createdAtUnix }: VersionRecord,
  { versions, minDecryptionVersion }: KeyMetadata,
): Blocker | undefined {
  if (version < minDecryptionVersion) {
    return blocker(
      "hidden_version",
      `Transit does not decrypt version ${version}: min_decryption_version is ${minDecryptionVersion}`,
      `lower it with \`bao write MOUNT/keys/KEY/config min_decryption_version=${version}\`, then restore`,
    );
  }
  const live = versions.find((each) => each.version === version);
  return live?.createdAtUnix === createdAtUnix
    ? undefined
    : blocker(
        "version_gone",
        live === undefined
          ? `Transit has no version ${version} any more: it was trimmed`
          : `Transit's version ${version} is another one than this registry recorded`,
        "restore OpenBao from a backup that has it; without one, its objects cannot be read",
      );
}
