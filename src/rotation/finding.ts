/**
 * Everything that can be wrong with a key, with its effect, the word that Status shows and what to do.
 *
 * @module One table. When each is found is assess.ts, from when it counts is observe.ts.
 */
import type { KeyVersion } from "../identity/key-scope.ts";

/**
 * - `lost`: the active version cannot be read again; once confirmed Status is an error, so that writes stop.
 * - `hold`: the key is not as it must be; nothing is encrypted, Decrypt goes on, Status shows the reason.
 * - `notice`: the active version is sound, but a person should look; Status shows the reason.
 */
export type Effect = "lost" | "hold" | "notice";

export type FindingCode =
  | "key_missing"
  | "key_soft_deleted"
  | "active_version_recreated"
  | "active_version_hidden"
  | "active_version_absent"
  | "latest_below_active"
  | "marker_refused"
  | "profile_type"
  | "profile_derived"
  | "profile_convergent"
  | "profile_exportable"
  | "profile_plaintext_backup"
  | "profile_deletion_allowed"
  | "profile_no_encryption"
  | "profile_no_decryption"
  | "min_encryption_above_active"
  | "needed_version_hidden"
  | "upsert_enabled"
  | "latest_below_recorded"
  | "version_recreated";

interface FindingKind {
  readonly effect: Effect;
  /** A standby that lags shows the same for a while: it changes nothing until as many probes agree as are required. */
  readonly mayBeLag: boolean;
  /** What Status shows as `healthz`: one generic word, since kube-apiserver repeats it. */
  readonly healthz: string;
  readonly message: string;
  readonly advice: string;
}

const RESTORE =
  "restore OpenBao to a state that has it; data written under it can only be read with exactly that version";

export const FINDINGS: Readonly<Record<FindingCode, FindingKind>> = {
  key_missing: {
    effect: "lost",
    mayBeLag: true,
    healthz: "key_missing",
    message: "OpenBao says that the Transit key or its mount does not exist",
    advice: `see whether transit.mountPath and transit.keyName are right and the key was not deleted; if it was, ${RESTORE}`,
  },
  key_soft_deleted: {
    effect: "lost",
    mayBeLag: false,
    healthz: "key_deleted",
    message: "the Transit key is soft-deleted",
    advice: "bao write -f TRANSIT_MOUNT/keys/KEY/soft-delete-restore",
  },
  active_version_recreated: {
    effect: "lost",
    mayBeLag: false,
    healthz: "key_replaced",
    message:
      "the active version's creation time has changed: the key was deleted and made again, or is another one",
    advice: `${RESTORE}; if the old key is gone for good, see docs/operations on disaster recovery`,
  },
  active_version_hidden: {
    effect: "lost",
    mayBeLag: false,
    healthz: "version_hidden",
    message: "min_decryption_version is above the active version, so nothing written now could be read",
    advice:
      "bao write TRANSIT_MOUNT/keys/KEY/config min_decryption_version=N with N at most the active version",
  },
  active_version_absent: {
    effect: "lost",
    mayBeLag: false,
    healthz: "version_absent",
    message: "the key's metadata does not show the active version, although nothing hides it",
    advice: RESTORE,
  },
  latest_below_active: {
    effect: "lost",
    mayBeLag: true,
    healthz: "version_rollback",
    message: "the key's latest version is below the active one: OpenBao went back to an older state",
    advice: RESTORE,
  },
  marker_refused: {
    effect: "lost",
    mayBeLag: false,
    healthz: "marker_refused",
    message: "the marker that was encrypted when the active version became active no longer decrypts",
    advice: `see whether the key's material was replaced (restore, import); ${RESTORE}`,
  },
  profile_type: {
    effect: "hold",
    mayBeLag: false,
    healthz: "key_profile",
    message: "the key is not of type aes256-gcm96",
    advice: "name a key of type aes256-gcm96 in transit.keyName",
  },
  profile_derived: {
    effect: "hold",
    mayBeLag: false,
    healthz: "key_profile",
    message: "the key is derived",
    advice: "name a key that was made with derived=false in transit.keyName",
  },
  profile_convergent: {
    effect: "hold",
    mayBeLag: false,
    healthz: "key_profile",
    message: "the key uses convergent encryption",
    advice: "name a key that was made with convergent_encryption=false in transit.keyName",
  },
  profile_exportable: {
    effect: "hold",
    mayBeLag: false,
    healthz: "key_profile",
    message: "the key can be exported, which cannot be taken back",
    advice: "rotate to a new key that was made with exportable=false",
  },
  profile_plaintext_backup: {
    effect: "hold",
    mayBeLag: false,
    healthz: "key_profile",
    message: "the key allows plaintext backups, which cannot be taken back",
    advice: "rotate to a new key that was made with allow_plaintext_backup=false",
  },
  profile_deletion_allowed: {
    effect: "hold",
    mayBeLag: false,
    healthz: "key_profile",
    message: "the key can be deleted",
    advice: "bao write TRANSIT_MOUNT/keys/KEY/config deletion_allowed=false",
  },
  profile_no_encryption: {
    effect: "hold",
    mayBeLag: false,
    healthz: "key_profile",
    message: "the key does not support encryption",
    advice: "name a key of type aes256-gcm96 in transit.keyName",
  },
  profile_no_decryption: {
    effect: "hold",
    mayBeLag: false,
    healthz: "key_profile",
    message: "the key does not support decryption",
    advice: "name a key of type aes256-gcm96 in transit.keyName",
  },
  min_encryption_above_active: {
    effect: "hold",
    mayBeLag: false,
    healthz: "key_profile",
    message: "min_encryption_version is above the active version",
    advice: "bao write TRANSIT_MOUNT/keys/KEY/config min_encryption_version=0",
  },
  needed_version_hidden: {
    effect: "hold",
    mayBeLag: false,
    healthz: "key_profile",
    message: "min_decryption_version hides a version that was not removed with retire-versions",
    advice:
      "lower it: bao write TRANSIT_MOUNT/keys/KEY/config min_decryption_version=N; or run retire-versions for what lies below",
  },
  upsert_enabled: {
    effect: "hold",
    mayBeLag: false,
    healthz: "upsert_enabled",
    message: "the mount's disable_upsert is off, so a call for a missing key would make a new one",
    advice: "bao write TRANSIT_MOUNT/config/keys disable_upsert=true",
  },
  latest_below_recorded: {
    effect: "notice",
    mayBeLag: true,
    healthz: "version_rollback",
    message:
      "the key's latest version is below one that was seen before: OpenBao went back to an older state",
    advice:
      "see whether another node already wrote under the missing version (audit), then restore OpenBao or rotate",
  },
  version_recreated: {
    effect: "notice",
    mayBeLag: true,
    healthz: "version_replaced",
    message: "a version that is not active has another creation time than was recorded",
    advice:
      "see whether anything is stored under it (audit); the recorded one can only be read after a restore",
  },
};

export interface Finding {
  readonly code: FindingCode;
  /** What two probes must agree on: the code, and for a replaced version which one and by what. */
  readonly evidence: string;
  /** The version it is about, when it is about one. */
  readonly version?: number;
  /** The version as the key shows it now, when its creation time contradicts the recorded one. */
  readonly recreated?: KeyVersion;
}

export function finding(code: FindingCode, version?: number): Finding {
  return { code, evidence: code, ...(version === undefined ? {} : { version }) };
}

export function recreatedFinding(
  code: "active_version_recreated" | "version_recreated",
  recreated: KeyVersion,
): Finding {
  const { version, createdAtUnix } = recreated;
  return { code, evidence: `${code}/${version}/${createdAtUnix}`, version, recreated };
}

/** The sentence for the operator. */
export function findingMessage({ code, version }: Finding): string {
  return `${FINDINGS[code].message}${version === undefined ? "" : ` (version ${version})`}`;
}
