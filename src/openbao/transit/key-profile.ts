/** @module The profile that the Transit key and its mount must have. key/rotation/ decides what follows from a drift. */
import type { KeyMetadata } from "./key-metadata.ts";

export type ProfileDriftCode = (typeof REQUIREMENTS)[number]["code"] | "upsert_enabled";

export interface ProfileDrift {
  readonly code: ProfileDriftCode;
  /** One sentence for the operator. */
  readonly message: string;
  /** What to type or change. */
  readonly advice: string;
}

export interface KeyNames {
  readonly mountPath: string;
  readonly keyName: string;
}

interface Requirement {
  readonly code: string;
  readonly broken: (key: KeyMetadata) => boolean;
  readonly problem: string | ((key: KeyMetadata) => string);
  readonly advice: (names: KeyNames) => string;
}

const REQUIRED_KEY_TYPE = "aes256-gcm96";
/** OpenBao 2.7 and later: a key that a KMS plugin keeps. */
const EXTERNAL_KEY_TYPE = "external-key";

const anotherKey = ({ mountPath }: KeyNames): string =>
  `this cannot be undone; make a new key with: bao write -f ${mountPath}/keys/NEW_NAME, and a new transit.keyIdScope.keyLineageId for it`;

const config =
  (setting: string) =>
  ({ mountPath, keyName }: KeyNames): string =>
    `bao write ${mountPath}/keys/${keyName}/config ${setting}`;

const REQUIREMENTS = [
  {
    code: "wrong_type",
    broken: ({ type }) => type !== REQUIRED_KEY_TYPE,
    problem: ({ type }) =>
      type === EXTERNAL_KEY_TYPE
        ? `is an external key: its material is outside OpenBao, and its versions have no creation time; type ${REQUIRED_KEY_TYPE} is required`
        : `is not of type ${REQUIRED_KEY_TYPE}`,
    advice: anotherKey,
  },
  { code: "derived", broken: ({ derived }) => derived, problem: "is a derived key", advice: anotherKey },
  {
    code: "convergent",
    broken: ({ convergent }) => convergent,
    problem: "uses convergent encryption, which reveals equal plaintexts",
    advice: anotherKey,
  },
  {
    code: "exportable",
    broken: ({ exportable }) => exportable,
    problem: "can be exported from OpenBao",
    advice: anotherKey,
  },
  {
    code: "plaintext_backup_allowed",
    broken: ({ allowPlaintextBackup }) => allowPlaintextBackup,
    problem: "can be backed up in plaintext",
    advice: anotherKey,
  },
  {
    code: "deletion_allowed",
    broken: ({ deletionAllowed }) => deletionAllowed,
    problem: "may be deleted, and all data under it would be lost",
    advice: config("deletion_allowed=false"),
  },
  {
    code: "soft_deleted",
    broken: ({ softDeleted }) => softDeleted,
    problem: "is soft-deleted",
    advice: ({ mountPath, keyName }) => `bao write -f ${mountPath}/keys/${keyName}/soft-delete-restore`,
  },
  {
    code: "encryption_unsupported",
    broken: ({ supportsEncryption }) => !supportsEncryption,
    problem: "does not support encryption",
    advice: anotherKey,
  },
  {
    code: "decryption_unsupported",
    broken: ({ supportsDecryption }) => !supportsDecryption,
    problem: "does not support decryption",
    advice: anotherKey,
  },
] as const satisfies readonly Requirement[];

/** Every requirement on the key that does not hold, in a fixed order; empty when all is well. */
export function profileDrifts(key: KeyMetadata, names: KeyNames): readonly ProfileDrift[] {
  return REQUIREMENTS.filter(({ broken }) => broken(key)).map(({ code, problem, advice }) => ({
    code,
    message: `the Transit key ${names.mountPath}/keys/${names.keyName} ${typeof problem === "string" ? problem : problem(key)}`,
    advice: advice(names),
  }));
}

/** The requirement on the mount: a misspelt key name must not make a new key at the first Encrypt. */
export function upsertDrift(disableUpsert: boolean, { mountPath }: KeyNames): ProfileDrift | undefined {
  return disableUpsert
    ? undefined
    : {
        code: "upsert_enabled",
        message: `the Transit mount ${mountPath} creates a new key when Encrypt names a key that does not exist`,
        advice: `bao write ${mountPath}/config/keys disable_upsert=true`,
      };
}
