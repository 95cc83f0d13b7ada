/**
 * What rotation needs of Transit.
 *
 * @module Interfaces only; transit/ implements them, compose/ hands them in.
 */
import type { Outcome } from "../../openbao/transit/coalesce.ts";
import type { Answered } from "../../openbao/transit/key-call.ts";
import type { KeyMetadata } from "../../openbao/transit/key-metadata.ts";

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

export interface ReadBackCall {
  /** As many outcomes as inputs; those with a `batchIndex` are of one answer and so of one key. */
  decryptTogether(
    inputs: readonly { readonly ciphertext: string; readonly associatedData: string }[],
    signal: AbortSignal,
  ): Promise<readonly Outcome<Answered<Uint8Array>>[]>;
}
