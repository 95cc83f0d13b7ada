/**
 * What a key's metadata says against what is required and recorded.
 *
 * @module Pure; one look at one answer. Whether an answer can be believed is observe.ts.
 */
import type { KeyVersion } from "../identity/key-scope.ts";
import { activeVersion, type RegistryContent, versionOf } from "../registry/record.ts";
import { type Finding, type FindingCode, finding, recreatedFinding } from "./finding.ts";
import type { KeyMetadata } from "./ports.ts";

/** The profile of the wire contract, in the order in which its breaches are shown. */
const PROFILE: readonly (readonly [FindingCode, (key: KeyMetadata) => boolean])[] = [
  ["profile_type", (key) => key.type === "aes256-gcm96"],
  ["profile_derived", (key) => !key.derived],
  ["profile_convergent", (key) => !key.convergent],
  ["profile_exportable", (key) => !key.exportable],
  ["profile_plaintext_backup", (key) => !key.allowPlaintextBackup],
  ["profile_deletion_allowed", (key) => !key.deletionAllowed],
  ["profile_no_encryption", (key) => key.supportsEncryption],
  ["profile_no_decryption", (key) => key.supportsDecryption],
];

/** What is wrong with the key or its mount whatever the registry says. */
export function assessProfile(key: KeyMetadata, upsertDisabled: boolean, active: number): readonly Finding[] {
  return [
    ...PROFILE.filter(([, holds]) => !holds(key)).map(([code]) => finding(code)),
    ...(key.minEncryptionVersion > active ? [finding("min_encryption_above_active")] : []),
    ...(upsertDisabled ? [] : [finding("upsert_enabled")]),
  ];
}

/** Everything that is wrong, the gravest first. */
export function assess(
  content: RegistryContent,
  key: KeyMetadata,
  upsertDisabled: boolean,
): readonly Finding[] {
  const active = activeVersion(content);
  return [
    ...assessActive(active, key),
    ...assessProfile(key, upsertDisabled, active.version),
    ...assessHidden(content, key, active.version),
    ...assessRecorded(content, key, active.version),
  ];
}

function assessActive(active: KeyVersion, key: KeyMetadata): readonly Finding[] {
  const shown = key.versions.find((each) => each.version === active.version);
  const deleted = key.softDeleted ? [finding("key_soft_deleted")] : [];
  if (key.latestVersion < active.version) {
    return [...deleted, finding("latest_below_active", active.version)];
  }
  if (key.minDecryptionVersion > active.version) {
    return [...deleted, finding("active_version_hidden", active.version)];
  }
  if (shown === undefined) {
    return [...deleted, finding("active_version_absent", active.version)];
  }
  return shown.createdAtUnix === active.createdAtUnix
    ? deleted
    : [...deleted, recreatedFinding("active_version_recreated", shown)];
}

function assessHidden(content: RegistryContent, key: KeyMetadata, active: number): readonly Finding[] {
  const hidden = content.versions.find(
    (each) =>
      each.version < key.minDecryptionVersion &&
      each.version !== active &&
      (each.state === "retired" || each.state === "pending"),
  );
  return hidden === undefined ? [] : [finding("needed_version_hidden", hidden.version)];
}

function assessRecorded(content: RegistryContent, key: KeyMetadata, active: number): readonly Finding[] {
  const highest = Math.max(
    ...content.versions.filter((each) => each.state !== "rejected").map((each) => each.version),
  );
  const recreated = key.versions.filter(({ version, createdAtUnix }) => {
    const known = versionOf(content, version);
    return known !== undefined && known.state !== "removed" && known.createdAtUnix !== createdAtUnix;
  });
  return [
    ...(key.latestVersion < highest && key.latestVersion >= active
      ? [finding("latest_below_recorded", highest)]
      : []),
    ...recreated
      .filter(({ version }) => version !== active)
      .map((each) => recreatedFinding("version_recreated", each)),
  ];
}
