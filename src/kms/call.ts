/** @module One call from its arrival to its record: its turn, why it was aborted, the constant error, the record for logs and metrics. */
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { CALLER } from "../base/caller.ts";
import type { Clock } from "../base/clock.ts";
import { errorClassOf, ProviderError } from "../base/error-class.ts";
import type { KeyHandle } from "../key/rotation/key-handles.ts";
import type { Answered } from "../openbao/transit/key-call.ts";
import type { Admission, Permit } from "./admission.ts";
import type { CallFailure, CallObserver, KmsMethod, Rejection } from "./call-record.ts";
import { AnnotationError, KmsError, replyFor, statusName } from "./errors.ts";

/** One call: what its method learns, which the record shall show, and its turn among the others. */
interface Call {
  keyId: string | undefined;
  key: KeyHandle | undefined;
  answer: Pick<Answered<unknown>, "requestId" | "batchIndex"> | undefined;
  /** Takes the call's turn; `undefined` when it may run at once. Calls of one caller with the same key count once. Called once. */
  turn(dedupKey?: string): Promise<void> | undefined;
}

/** Runs calls so that each, however it ends, is counted once and leaves with a constant text. */
export function callRunner({
  admission,
  clock,
  observer,
}: {
  readonly admission: Admission;
  readonly clock: Clock;
  readonly observer: CallObserver;
}) {
  return async <Output>(
    method: KmsMethod,
    uid: string,
    { signal, values }: Pick<HandlerContext, "signal" | "values">,
    body: (call: Call) => Output | Promise<Output>,
  ): Promise<Output> => {
    const startMs = clock.monotonicMs();
    let turn: Permit | undefined;
    let waitedMs: number | undefined;
    const waited = async (wait: Promise<void>): Promise<void> => {
      const sinceMs = clock.monotonicMs();
      try {
        await wait;
      } finally {
        waitedMs = clock.monotonicMs() - sinceMs;
      }
    };
    const call: Call = {
      keyId: undefined,
      key: undefined,
      answer: undefined,
      turn: (dedupKey) => {
        turn = admission.enter(method, values.get(CALLER), dedupKey, signal);
        return turn.wait === undefined ? undefined : waited(turn.wait);
      },
    };
    const record = (status: string, failure: CallFailure | undefined): void =>
      observer.ended({
        method,
        status,
        durationMs: clock.monotonicMs() - startMs,
        waitedMs,
        uid,
        keyId: call.key?.keyId ?? call.keyId,
        transitKeyVersion: call.key?.version,
        openbaoRequestId: call.answer?.requestId,
        batchIndex: call.answer?.batchIndex,
        failure,
      });
    observer.started(method);
    try {
      signal.throwIfAborted();
      const output = await body(call);
      record("OK", undefined);
      return output;
    } catch (error) {
      const failure = signal.aborted ? aborted(error, signal) : refusal(error);
      const { code, text } = replyFor(failure.errorClass, failure.code);
      record(statusName(code), failure);
      throw new ConnectError(text, code);
    } finally {
      turn?.leave();
    }
  };
}

/**
 * An aborted call failed for that reason, whatever a layer below made of the abort. Connect's deadline aborts with its own error;
 * every other reason is a caller or a connection that went away.
 */
function aborted(cause: unknown, signal: AbortSignal): CallFailure {
  const reason: unknown = signal.reason;
  const isLate = reason instanceof ConnectError && reason.code === Code.DeadlineExceeded;
  const errorClass = isLate ? "timeout" : "canceled";
  return { errorClass, code: undefined, rejection: undefined, unexpected: false, cause };
}

function refusal(error: unknown): CallFailure {
  return {
    errorClass: errorClassOf(error),
    code: error instanceof ProviderError ? error.code : undefined,
    rejection: rejectionOf(error),
    unexpected: !(error instanceof ProviderError),
    cause: error,
  };
}

const REJECTIONS: ReadonlyMap<string, Rejection> = new Map<string, Rejection>([
  ["concurrency_limit", { check: "concurrency" }],
  ["key_id_malformed", { check: "key_id", reason: "malformed" }],
  ["ciphertext_version_differs", { check: "key_id", reason: "version_mismatch" }],
  ["version_removed", { check: "key_id", reason: "removed" }],
  ["version_rejected", { check: "key_id", reason: "rejected" }],
]);

function rejectionOf(error: unknown): Rejection | undefined {
  if (error instanceof AnnotationError) {
    return { check: "associated_data", reason: error.problem };
  }
  if (!(error instanceof ProviderError)) {
    return undefined;
  }
  const rejection = REJECTIONS.get(error.code);
  if (rejection !== undefined || error.errorClass === "key_id_unknown") {
    return rejection ?? { check: "key_id", reason: "unknown" };
  }
  return error.errorClass === "aad_mismatch"
    ? { check: "associated_data", reason: error instanceof KmsError ? "disagrees" : "rejected_by_openbao" }
    : undefined;
}
