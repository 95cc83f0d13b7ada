/** @module The identity of a key that many tests share, its versions, and Transit's metadata of it. Values only. */
import { deriveKeyId } from "../../src/key/identity/key-id.ts";
import type { KeyMetadata, KeyVersion } from "../../src/openbao/transit/key-metadata.ts";

export const TEST_IDENTITY = {
  providerName: "bao",
  clusterId: "cluster",
  openbaoInstanceId: "instance",
  openbaoNamespace: "",
  transitMountId: "mount",
  keyLineageId: "lineage",
  keyName: "etcd",
} as const;

export function testVersion(version: number): KeyVersion {
  return { version, createdAtUnix: 1_700_000_000 + version };
}

export function testKeyId(version: number): string {
  return deriveKeyId(TEST_IDENTITY, testVersion(version));
}

/** The same as Transit writes it, with version 1. */
export const testMetadataReply = {
  type: "aes256-gcm96",
  derived: false,
  exportable: false,
  allow_plaintext_backup: false,
  deletion_allowed: false,
  supports_encryption: true,
  supports_decryption: true,
  min_decryption_version: 1,
  min_encryption_version: 0,
  latest_version: 1,
  keys: { "1": 1_700_000_000 },
};

/** A key as it should be, with these versions; `change` makes it another. */
export function testMetadata(versions: readonly number[], change: Partial<KeyMetadata> = {}): KeyMetadata {
  return {
    type: "aes256-gcm96",
    derived: false,
    convergent: false,
    exportable: false,
    allowPlaintextBackup: false,
    deletionAllowed: false,
    softDeleted: false,
    supportsEncryption: true,
    supportsDecryption: true,
    minDecryptionVersion: 1,
    minEncryptionVersion: 0,
    latestVersion: Math.max(...versions),
    versions: versions.map(testVersion),
    autoRotatePeriodSeconds: 0,
    imported: false,
    answeredAtMs: undefined,
    ...change,
  };
}
