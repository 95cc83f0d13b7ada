/**
 * @module One Transit key with all its versions. Real AES-GCM over versions, in the `vault:vN:` format, with the spellings
 * that OpenBao opens beside the canonical one. What lives elsewhere: requests and replies (transit.ts).
 */
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { decodeBase64 } from "./fields.ts";
import type { JsonObject } from "./reply.ts";

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

interface KeyType {
  readonly keyBytes: number;
  readonly cipher: "aes-256-gcm" | "aes-128-gcm" | undefined;
  readonly derivation: boolean;
}

/** The key types that tests of the required profile need. */
export const KEY_TYPES: Readonly<Record<string, KeyType>> = {
  "aes256-gcm96": { keyBytes: 32, cipher: "aes-256-gcm", derivation: true },
  "aes128-gcm96": { keyBytes: 16, cipher: "aes-128-gcm", derivation: true },
  "ecdsa-p256": { keyBytes: 32, cipher: undefined, derivation: false },
};

export interface TransitKey {
  readonly name: string;
  readonly type: string;
  readonly derived: boolean;
  readonly convergent: boolean;
  exportable: boolean;
  allowPlaintextBackup: boolean;
  deletionAllowed: boolean;
  softDeleted: boolean;
  imported: boolean;
  minDecryptionVersion: number;
  minEncryptionVersion: number;
  autoRotateSeconds: number;
  /** Index 0 is version 1. */
  readonly versions: { readonly material: Uint8Array; readonly createdAtUnix: number }[];
}

/** A refusal in OpenBao's words; `status` is that of the reply when it is the only item. */
export class KeyRefusal extends Error {
  readonly status: number;
  constructor(message: string, status = 400) {
    super(message);
    this.status = status;
  }
}

export function makeKey(
  name: string,
  options: Pick<TransitKey, "type" | "derived" | "convergent" | "exportable" | "allowPlaintextBackup">,
  nowMs: number,
): TransitKey {
  const key: TransitKey = {
    name,
    ...options,
    deletionAllowed: false,
    softDeleted: false,
    imported: false,
    minDecryptionVersion: 1,
    minEncryptionVersion: 0,
    autoRotateSeconds: 0,
    versions: [],
  };
  rotateKey(key, nowMs);
  return key;
}

export function rotateKey(key: TransitKey, nowMs: number): void {
  const bytes = KEY_TYPES[key.type]?.keyBytes ?? 32;
  key.versions.push({
    material: new Uint8Array(randomBytes(bytes)),
    createdAtUnix: Math.floor(nowMs / 1000),
  });
}

/** What `GET keys/<name>` shows: versions below `min_decryption_version` are hidden. */
export function describeKey(key: TransitKey): JsonObject {
  const type = KEY_TYPES[key.type];
  const encrypts = type?.cipher !== undefined;
  return {
    allow_plaintext_backup: key.allowPlaintextBackup,
    auto_rotate_period: key.autoRotateSeconds,
    ...(key.derived
      ? {
          convergent_encryption: key.convergent,
          ...(key.convergent ? { convergent_encryption_version: -1 } : {}),
          kdf: "hkdf_sha256",
        }
      : {}),
    deletion_allowed: key.deletionAllowed,
    derived: key.derived,
    exportable: key.exportable,
    imported_key: key.imported,
    keys: Object.fromEntries(
      key.versions
        .map(({ createdAtUnix }, index) => [index + 1, createdAtUnix] as const)
        .filter(([version]) => version >= key.minDecryptionVersion)
        .map(([version, created]) => [String(version), created]),
    ),
    latest_version: key.versions.length,
    min_available_version: 0,
    min_decryption_version: key.minDecryptionVersion,
    min_encryption_version: key.minEncryptionVersion,
    name: key.name,
    soft_deleted: key.softDeleted,
    supports_decryption: encrypts,
    supports_derivation: type?.derivation ?? false,
    supports_encryption: encrypts,
    supports_signing: !encrypts,
    type: key.type,
  };
}

function associatedBytes(text: string): Buffer {
  try {
    return decodeBase64(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new KeyRefusal(`unable to get associated_data/additional_data from factory[0]: ${reason}`, 500);
  }
}

function cipherOf(key: TransitKey): NonNullable<KeyType["cipher"]> {
  if (key.softDeleted) {
    throw new KeyRefusal("refusing to use soft-deleted key");
  }
  const cipher = KEY_TYPES[key.type]?.cipher;
  if (cipher === undefined) {
    throw new KeyRefusal(`message encryption not supported for key type ${key.type}`);
  }
  if (key.derived) {
    throw new KeyRefusal(
      "missing 'context' for key derivation; the key was created using a derived key, which means additional, per-request information must be included in order to perform operations with the key",
    );
  }
  return cipher;
}

/** Encrypts under a version (0: the latest) and says under which. */
export function encryptWith(
  key: TransitKey,
  plaintextBase64: string,
  associatedData: string,
  requested: number,
): { readonly ciphertext: string; readonly version: number } {
  const plaintext = decodeBase64(plaintextBase64);
  const cipherName = cipherOf(key);
  const latest = key.versions.length;
  if (requested < 0) {
    throw new KeyRefusal("requested version for encryption is negative");
  }
  if (requested > latest) {
    throw new KeyRefusal("requested version for encryption is higher than the latest key version");
  }
  const version = requested === 0 ? latest : requested;
  if (version < key.minEncryptionVersion) {
    throw new KeyRefusal("requested version for encryption is less than the minimum encryption key version");
  }
  const entry = key.versions[version - 1];
  if (entry === undefined || version < key.minDecryptionVersion) {
    throw new KeyRefusal("no such key version");
  }
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(cipherName, entry.material, nonce);
  cipher.setAAD(associatedBytes(associatedData));
  const body = Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
  return { ciphertext: `vault:v${version}:${body.toString("base64")}`, version };
}

/** Opens what OpenBao opens: `v0` is version 1, signs and leading zeros pass, so do line breaks in the base64. */
export function decryptWith(key: TransitKey, ciphertext: string, associatedData: string): Buffer {
  const cipherName = cipherOf(key);
  if (!ciphertext.startsWith("vault:v")) {
    throw new KeyRefusal("invalid ciphertext: no prefix");
  }
  const rest = ciphertext.slice("vault:v".length);
  const colon = rest.indexOf(":");
  if (colon < 0) {
    throw new KeyRefusal("invalid ciphertext: wrong number of fields");
  }
  const number = rest.slice(0, colon);
  if (!/^[+-]?\d{1,18}$/.test(number)) {
    throw new KeyRefusal("invalid ciphertext: version number could not be decoded");
  }
  const version = Number(number) === 0 ? 1 : Number(number);
  if (version > key.versions.length) {
    throw new KeyRefusal("invalid ciphertext: version is too new");
  }
  if (version < key.minDecryptionVersion) {
    throw new KeyRefusal("ciphertext or signature version is disallowed by policy (too old)");
  }
  let bytes: Buffer;
  try {
    bytes = decodeBase64(rest.slice(colon + 1));
  } catch {
    throw new KeyRefusal("invalid ciphertext: could not decode base64");
  }
  if (bytes.length < NONCE_BYTES) {
    throw new KeyRefusal("invalid ciphertext length");
  }
  const associated = associatedBytes(associatedData);
  const entry = key.versions[version - 1];
  try {
    const decipher = createDecipheriv(
      cipherName,
      entry?.material ?? new Uint8Array(),
      bytes.subarray(0, NONCE_BYTES),
    );
    decipher.setAAD(associated);
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
    return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
  } catch {
    throw new KeyRefusal("cipher: message authentication failed");
  }
}
