/** @module What OpenBao reports of a Transit key, decoded from `GET <mount>/keys/<key>`. */
import * as v from "valibot";

/** One version of the Transit key, told apart from a later key of the same name by its creation time. */
export interface KeyVersion {
  readonly version: number;
  /** Unix time in whole seconds at which Transit made this version. */
  readonly createdAtUnix: number;
}

export type KeyMetadata = NonNullable<ReturnType<typeof decodeKeyMetadata>>;

const versionNumber = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const unixTime = v.pipe(v.number(), v.safeInteger(), v.minValue(1));

const keyData = v.object({
  type: v.pipe(v.string(), v.maxLength(64)),
  derived: v.boolean(),
  // Left out unless the key is derived.
  convergent_encryption: v.optional(v.boolean(), false),
  exportable: v.boolean(),
  allow_plaintext_backup: v.boolean(),
  deletion_allowed: v.boolean(),
  soft_deleted: v.optional(v.boolean(), false),
  supports_encryption: v.boolean(),
  supports_decryption: v.boolean(),
  min_decryption_version: versionNumber,
  min_encryption_version: versionNumber,
  latest_version: v.pipe(versionNumber, v.minValue(1)),
  // A number for a symmetric key, an object with the public part for others.
  keys: v.record(v.pipe(v.string(), v.regex(/^[1-9][0-9]{0,14}$/)), v.union([unixTime, v.looseObject({})])),
  auto_rotate_period: v.optional(v.pipe(v.number(), v.minValue(0)), 0),
  imported_key: v.optional(v.boolean(), false),
});

/** The metadata in a reply's `data`; `undefined` when it is not that of a key, or contradicts itself. */
export function decodeKeyMetadata(data: unknown, date: string | null) {
  const parsed = v.safeParse(keyData, data);
  if (!parsed.success) {
    return undefined;
  }
  const { output } = parsed;
  /** Ascending. Versions below `minDecryptionVersion` are hidden by OpenBao; a key of another kind shows none. */
  const versions: readonly KeyVersion[] = Object.entries(output.keys)
    .flatMap(([version, value]) =>
      typeof value === "number" ? [{ version: Number(version), createdAtUnix: value }] : [],
    )
    .sort((a, b) => a.version - b.version);
  const last = versions.at(-1);
  if (last !== undefined && last.version !== output.latest_version) {
    return undefined;
  }
  return {
    type: output.type,
    derived: output.derived,
    convergent: output.convergent_encryption,
    exportable: output.exportable,
    allowPlaintextBackup: output.allow_plaintext_backup,
    deletionAllowed: output.deletion_allowed,
    softDeleted: output.soft_deleted,
    supportsEncryption: output.supports_encryption,
    supportsDecryption: output.supports_decryption,
    minDecryptionVersion: output.min_decryption_version,
    /** 0: the latest. */
    minEncryptionVersion: output.min_encryption_version,
    latestVersion: output.latest_version,
    versions,
    /** 0: never. */
    autoRotatePeriodSeconds: output.auto_rotate_period,
    imported: output.imported_key,
    /** OpenBao's clock when it answered, to the second; `undefined` without a Date header. */
    answeredAtMs: date === null || Number.isNaN(Date.parse(date)) ? undefined : Date.parse(date),
  };
}
