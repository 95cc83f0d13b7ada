/** @module Everything that can be wrong with a key: its effect, what to do, and which of it one answer shows. Pure. */
import type { KeyMetadata, KeyVersion } from "../../openbao/transit/key-metadata.ts";
import {
  type KeyNames,
  type ProfileDrift,
  type ProfileDriftCode,
  profileDrifts,
  upsertDrift,
} from "../../openbao/transit/key-profile.ts";
import { activeVersion, type RegistryContent, versionOf } from "../registry/record.ts";

/**
 * - `lost`: the active version cannot be read again; once confirmed Status is an error, so that writes stop.
 * - `hold`: the key is not as it must be; nothing is encrypted, Decrypt continues, Status shows the reason.
 * - `notice`: the active version is sound, but a person should look; Status shows the reason.
 */
type Effect = "lost" | "hold" | "notice";

type OwnCode =
  | "key_missing"
  | "active_version_recreated"
  | "active_version_hidden"
  | "active_version_absent"
  | "latest_below_active"
  | "marker_refused"
  | "min_encryption_above_active"
  | "needed_version_hidden"
  | "latest_below_recorded"
  | "version_recreated";

type FindingCode = OwnCode | ProfileDriftCode;

interface Rule {
  readonly effect: Effect;
  /** A standby that lags shows the same for a while: it changes nothing until as many probes agree as are required. */
  readonly mayBeLag: boolean;
  /** What Status shows as `healthz`: one generic word, since kube-apiserver repeats it. */
  readonly healthz: string;
}

const PROFILE: Rule = { effect: "hold", mayBeLag: false, healthz: "key_profile" };

export const FINDINGS: Readonly<Record<FindingCode, Rule>> = {
  key_missing: { effect: "lost", mayBeLag: true, healthz: "key_missing" },
  soft_deleted: { effect: "lost", mayBeLag: false, healthz: "key_deleted" },
  active_version_recreated: { effect: "lost", mayBeLag: false, healthz: "key_replaced" },
  active_version_hidden: { effect: "lost", mayBeLag: false, healthz: "version_hidden" },
  active_version_absent: { effect: "lost", mayBeLag: false, healthz: "version_absent" },
  latest_below_active: { effect: "lost", mayBeLag: true, healthz: "version_rollback" },
  marker_refused: { effect: "lost", mayBeLag: false, healthz: "marker_refused" },
  wrong_type: PROFILE,
  derived: PROFILE,
  convergent: PROFILE,
  exportable: PROFILE,
  plaintext_backup_allowed: PROFILE,
  deletion_allowed: PROFILE,
  encryption_unsupported: PROFILE,
  decryption_unsupported: PROFILE,
  min_encryption_above_active: PROFILE,
  needed_version_hidden: { effect: "hold", mayBeLag: false, healthz: "version_hidden" },
  upsert_enabled: { effect: "hold", mayBeLag: false, healthz: "upsert_enabled" },
  latest_below_recorded: { effect: "notice", mayBeLag: true, healthz: "version_rollback" },
  version_recreated: { effect: "notice", mayBeLag: true, healthz: "version_replaced" },
};

export interface KeyFinding {
  readonly code: FindingCode;
  /** What two probes must agree on: the code, and for a replaced version which one and by what. */
  readonly sameFindingKey: string;
  readonly message: string;
  readonly advice: string;
  /** The version as the key shows it now, when its creation time contradicts the recorded one. */
  readonly recreated?: KeyVersion;
}

interface Words {
  readonly message: (version: number) => string;
  readonly advice: (names: KeyNames, version: number) => string;
}

const restore = (_: KeyNames, version: number): string =>
  `restore OpenBao to a state that has version ${version}; what was written under it can be read with that version only`;

const config =
  (setting: (version: number) => string) =>
  ({ mountPath, keyName }: KeyNames, version: number): string =>
    `bao write ${mountPath}/keys/${keyName}/config ${setting(version)}`;

const WORDS: Readonly<Record<OwnCode, Words>> = {
  key_missing: {
    message: () => "the Transit key or its mount does not exist in OpenBao",
    advice: ({ mountPath }) =>
      `compare transit.mountPath and transit.keyName with: bao list ${mountPath}/keys; if the key was deleted, restore OpenBao from a backup that has it`,
  },
  active_version_recreated: {
    message: (version) =>
      `the creation time of the active version ${version} has changed: the key was deleted and created again, or it is another key`,
    advice: restore,
  },
  active_version_hidden: {
    message: (version) =>
      `min_decryption_version is above the active version ${version}, so that new data could not be read`,
    advice: config((version) => `min_decryption_version=${version}`),
  },
  active_version_absent: {
    message: (version) => `the key does not show the active version ${version}, although nothing hides it`,
    advice: restore,
  },
  latest_below_active: {
    message: (version) =>
      `the key's latest version is below the active version ${version}: OpenBao was restored to an older state`,
    advice: restore,
  },
  marker_refused: {
    message: (version) =>
      `the marker that was encrypted when version ${version} became active does not decrypt: its key material has changed`,
    advice: restore,
  },
  min_encryption_above_active: {
    message: (version) => `min_encryption_version is above the active version ${version}`,
    advice: config(() => "min_encryption_version=0"),
  },
  needed_version_hidden: {
    message: (version) =>
      `min_decryption_version hides version ${version}, which was not removed with retire-versions`,
    advice: config(
      (version) => `min_decryption_version=${version}, or remove the versions below it with retire-versions`,
    ),
  },
  latest_below_recorded: {
    message: (version) =>
      `the key's latest version is below version ${version}, which was seen before: OpenBao was restored to an older state`,
    advice: (_, version) =>
      `run audit: if another node wrote under version ${version}, restore OpenBao from a newer backup; otherwise rotate the key again`,
  },
  version_recreated: {
    message: (version) =>
      `version ${version}, which is not active, has another creation time than the registry recorded`,
    advice: (_, version) =>
      `run audit: data under version ${version} can be read only after a restore of OpenBao`,
  },
};

export function finding(code: OwnCode, names: KeyNames, version = 0): KeyFinding {
  const { message, advice } = WORDS[code];
  return { code, sameFindingKey: code, message: message(version), advice: advice(names, version) };
}

function recreatedFinding(
  code: "active_version_recreated" | "version_recreated",
  names: KeyNames,
  recreated: KeyVersion,
): KeyFinding {
  const { version, createdAtUnix } = recreated;
  return {
    ...finding(code, names, version),
    sameFindingKey: `${code}/${version}/${createdAtUnix}`,
    recreated: { version, createdAtUnix },
  };
}

export function profileFinding({ code, message, advice }: ProfileDrift): KeyFinding {
  return { code, sameFindingKey: code, message, advice };
}

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
