/**
 * What the KMS service needs of the rest of the provider.
 *
 * @module Interfaces only, each as small as the service allows. rotation/ owns the key state, transit/ makes the calls,
 * telemetry/ counts and logs; compose/ puts them together.
 */
import type { ErrorClass } from "../base/error-class.ts";
import type { AnnotationCodec } from "../key/identity/annotations.ts";

/** What Status may say, from memory. */
export type KeyStatus =
  /** No key version is known: the provider has never read the key's metadata and has no registry. */
  | { readonly kind: "none"; readonly errorClass: ErrorClass }
  /** The active version is proven lost, so nothing more may be written under it. */
  | { readonly kind: "lost"; readonly errorClass: ErrorClass }
  /** `healthz` is `ok` or one generic word. */
  | { readonly kind: "known"; readonly keyId: string; readonly healthz: string };

/** One version of the key with all that is derived from it, immutable, so that a call never mixes two versions. */
export interface KeyHandle {
  readonly version: number;
  readonly createdAtUnix: number;
  readonly keyId: string;
  readonly annotations: AnnotationCodec;
  /** Transit's `associated_data`: base64 as it goes into the call. */
  readonly associatedData: string;
}

export interface KeyState {
  status(): KeyStatus;
  /** @throws ProviderError when nothing may be encrypted now. */
  keyForEncrypt(): KeyHandle;
  /**
   * Reads back what was just encrypted; only then may it be answered.
   * @throws ProviderError when it lies under another key than the version's own, or when that could not be asked.
   */
  confirmEncrypted(
    key: KeyHandle,
    sealed: { readonly plaintext: Uint8Array; readonly ciphertext: string },
    signal: AbortSignal,
  ): Promise<void>;
  /**
   * @throws ProviderError of class `key_id_unknown`; its code is `version_removed` or `version_rejected` for a version
   * that is known and no longer served.
   */
  keyForDecrypt(keyId: string, signal: AbortSignal): Promise<KeyHandle>;
}

export interface Transit {
  encrypt(
    input: {
      readonly plaintext: Uint8Array;
      readonly associatedData: string;
      readonly keyVersion: number;
    },
    signal: AbortSignal,
  ): Promise<Answered<string>>;
  decrypt(
    input: { readonly ciphertext: string; readonly associatedData: string },
    signal: AbortSignal,
  ): Promise<Answered<Uint8Array>>;
}

/** A result, and where OpenBao's audit log has it. */
export interface Answered<Output> {
  readonly value: Output;
  readonly requestId: string | undefined;
  /** Its place among the items of a request that several calls shared. */
  readonly batchIndex?: number;
}

export const KMS_METHODS = ["Status", "Encrypt", "Decrypt"] as const;
export type KmsMethod = (typeof KMS_METHODS)[number];

/** One call that has ended. Nothing in it is secret; every label has a bounded set of values. */
export interface CallRecord {
  readonly method: KmsMethod;
  /** `OK` or the gRPC code's name, such as `INVALID_ARGUMENT`. */
  readonly status: string;
  readonly durationMs: number;
  /** How long the call waited for its turn; `undefined` when it ran at once. */
  readonly waitedMs: number | undefined;
  /** The uid that the caller gave, empty for Status. Hostile text: hash it before it is logged. */
  readonly uid: string;
  readonly keyId: string | undefined;
  readonly transitKeyVersion: number | undefined;
  /** Of the call to OpenBao that answered it. */
  readonly openbaoRequestId: string | undefined;
  readonly batchIndex: number | undefined;
  readonly failure: CallFailure | undefined;
}

export interface CallFailure {
  readonly errorClass: ErrorClass;
  /** The code of the layer that failed, one of its closed union. */
  readonly code: string | undefined;
  /** Which check said no, when it was one of ours. */
  readonly rejection: Rejection | undefined;
  /** Something threw that no layer recognised: a bug, answered INTERNAL. */
  readonly unexpected: boolean;
  /** For the log inside the process; never part of the reply. */
  readonly cause: unknown;
}

export type Rejection =
  | { readonly check: "concurrency" }
  | {
      readonly check: "key_id";
      readonly reason: "malformed" | "unknown" | "removed" | "rejected" | "version_mismatch";
    }
  | {
      readonly check: "associated_data";
      readonly reason: "missing" | "unexpected" | "malformed" | "disagrees" | "refused_by_openbao";
    };

export interface CallObserver {
  /** A call has arrived. */
  started(method: KmsMethod): void;
  /** A call has ended, answered or refused. Called once for each that started. */
  ended(call: CallRecord): void;
}
