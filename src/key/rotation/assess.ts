/** @module What one answer about the key shows against what is required and recorded. Pure. */
import type { KeyMetadata, KeyVersion } from "../../openbao/transit/key-metadata.ts";
import { type KeyNames, profileDrifts, upsertDrift } from "../../openbao/transit/key-profile.ts";
import { activeVersion, type RegistryContent, versionOf } from "../registry/record.ts";
import { FINDINGS, finding, type KeyFinding, profileFinding, recreatedFinding } from "./finding.ts";

export interface KeyAnswer {
  readonly kind: "key";
  readonly key: KeyMetadata;
  readonly upsertDisabled: boolean;
}

export function assessProfile(
  { key, upsertDisabled }: KeyAnswer,
  names: KeyNames,
  active: number,
): readonly KeyFinding[] {
  const upsert = upsertDrift(upsertDisabled, names);
  return [
    ...profileDrifts(key, names).map(profileFinding),
    ...(key.minEncryptionVersion > active ? [finding("min_encryption_above_active", names, active)] : []),
    ...(upsert === undefined ? [] : [profileFinding(upsert)]),
  ];
}

export function assess(content: RegistryContent, answer: KeyAnswer, names: KeyNames): readonly KeyFinding[] {
  const active = activeVersion(content);
  const profile = assessProfile(answer, names, active.version);
  return [
    ...profile.filter(isLost),
    ...assessActive(active, answer.key, names),
    ...profile.filter((each) => !isLost(each)),
    ...assessHidden(content, answer.key, names),
    ...assessRecorded(content, answer.key, names, active.version),
  ];
}

export function isLost({ code }: KeyFinding): boolean {
  return FINDINGS[code].effect === "lost";
}

function assessActive(active: KeyVersion, key: KeyMetadata, names: KeyNames): readonly KeyFinding[] {
  const { version, createdAtUnix } = active;
  const shown = key.versions.find((each) => each.version === version);
  if (key.latestVersion < version) {
    return [finding("latest_below_active", names, version)];
  }
  if (key.minDecryptionVersion > version) {
    return [finding("active_version_hidden", names, version)];
  }
  if (shown === undefined) {
    return [finding("active_version_absent", names, version)];
  }
  return shown.createdAtUnix === createdAtUnix
    ? []
    : [recreatedFinding("active_version_recreated", names, shown)];
}

/** The lowest version that is still needed and hidden; the active one has a finding of its own. */
function assessHidden(content: RegistryContent, key: KeyMetadata, names: KeyNames): readonly KeyFinding[] {
  const hidden = content.versions.find(
    (each) =>
      each.version < key.minDecryptionVersion && (each.state === "retired" || each.state === "pending"),
  );
  return hidden === undefined ? [] : [finding("needed_version_hidden", names, hidden.version)];
}

function assessRecorded(
  content: RegistryContent,
  key: KeyMetadata,
  names: KeyNames,
  active: number,
): readonly KeyFinding[] {
  const highest = content.versions.findLast((each) => each.state !== "rejected")?.version ?? active;
  const recreated = key.versions.filter(({ version, createdAtUnix }) => {
    const known = versionOf(content, version);
    return known !== undefined && known.state !== "removed" && known.createdAtUnix !== createdAtUnix;
  });
  return [
    ...(key.latestVersion < highest && key.latestVersion >= active
      ? [finding("latest_below_recorded", names, highest)]
      : []),
    ...recreated
      .filter(({ version }) => version !== active)
      .map((each) => recreatedFinding("version_recreated", names, each)),
  ];
}
