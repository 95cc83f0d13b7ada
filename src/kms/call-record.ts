/** @module What a call leaves for metrics and logs, and who receives it. */
import type { ErrorClass } from "../base/error-class.ts";

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
      readonly reason: "missing" | "unexpected" | "malformed" | "disagrees" | "rejected_by_openbao";
    };

export interface CallObserver {
  /** A call has arrived. */
  started(method: KmsMethod): void;
  /** A call has ended, answered or refused. Called once for each that started. */
  ended(call: CallRecord): void;
}
