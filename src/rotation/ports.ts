/**
 * What rotation needs of Transit.
 *
 * @module Interfaces only; transit/ implements them, compose/ hands them in.
 */
import type { KeyVersion } from "../identity/key-scope.ts";

/** The Transit key as one probe saw it. */
export interface KeyMetadata {
  readonly type: string;
  readonly derived: boolean;
  readonly convergent: boolean;
  readonly exportable: boolean;
  readonly allowPlaintextBackup: boolean;
  readonly deletionAllowed: boolean;
  readonly softDeleted: boolean;
  readonly supportsEncryption: boolean;
  readonly supportsDecryption: boolean;
  readonly minDecryptionVersion: number;
  /** 0 means the latest. */
  readonly minEncryptionVersion: number;
  readonly latestVersion: number;
  /** Those that the key's map shows, ascending; it hides what is below `minDecryptionVersion`. */
  readonly versions: readonly KeyVersion[];
}

export interface KeyReader {
  /** @throws ProviderError, of class `transit_key_missing` when OpenBao says that there is no such key. */
  readKey(signal: AbortSignal): Promise<KeyMetadata>;
  readDisableUpsert(signal: AbortSignal): Promise<boolean>;
}

export interface MarkerCalls {
  encrypt(
    input: {
      readonly plaintext: Uint8Array;
      readonly associatedData: string;
      readonly keyVersion: number;
    },
    signal: AbortSignal,
  ): Promise<string>;
  decrypt(
    input: { readonly ciphertext: string; readonly associatedData: string },
    signal: AbortSignal,
  ): Promise<Uint8Array>;
}
