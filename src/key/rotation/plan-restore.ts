/**
 * Which removed versions can come back.
 *
 * @module A pure decision: a version comes back when it was removed here and Transit still shows the same one.
 */
import { versionList } from "../../base/version-list.ts";
import type { KeyMetadata } from "../../openbao/transit/key-metadata.ts";
import type { RegistryContent, VersionRecord } from "../registry/record.ts";
import { planRestoration } from "./retire.ts";
import type { Blocker } from "./usage.ts";

export interface RestorePlan {
  readonly restore: readonly VersionRecord[];
  readonly blockers: readonly Blocker[];
}

export function planRestore(
  content: RegistryContent,
  metadata: KeyMetadata,
  wanted: readonly number[],
): RestorePlan {
  const plan = planRestoration(content, wanted);
  if (plan.kind === "refused") {
    const blocker = refuse(
      plan.reason,
      plan.reason === "version_unknown"
        ? `version ${plan.version} is not in the registry`
        : `there is nothing to restore: this registry does not have ${versionList(wanted)} as removed`,
      "name versions that `bao-kms-provider rotation-plan` shows as removed",
    );
    return { restore: [], blockers: [blocker] };
  }
  return {
    restore: plan.versions,
    blockers: plan.versions.flatMap((version) => transitBlocker(version, metadata) ?? []),
  };
}

function transitBlocker(
  { version, createdAtUnix }: VersionRecord,
  { versions, minDecryptionVersion }: KeyMetadata,
): Blocker | undefined {
  if (version < minDecryptionVersion) {
    return refuse(
      "hidden_version",
      `Transit does not decrypt version ${version}: min_decryption_version is ${minDecryptionVersion}`,
      `lower it with \`bao write MOUNT/keys/KEY/config min_decryption_version=${version}\`, then restore`,
    );
  }
  const live = versions.find((each) => each.version === version);
  return live?.createdAtUnix === createdAtUnix
    ? undefined
    : refuse(
        "version_gone",
        live === undefined
          ? `Transit has no version ${version} any more: it was trimmed`
          : `Transit's version ${version} is another one than this registry recorded`,
        "restore OpenBao from a backup that holds it; without one its objects cannot be read",
      );
}

function refuse(code: string, message: string, advice: string): Blocker {
  return { code, message, advice, overridable: false };
}
