/**
 * One call from admission to record.
 *
 * @module What every method has in common: the cap, the deadline, the constant error, the record for logs and metrics.
 * What does not live here: what a method does.
 */
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import type { Clock } from "../base/clock.ts";
import { type ErrorClass, errorClassOf, ProviderError } from "../base/error-class.ts";
import type { Admission } from "./admission.ts";
import { AnnotationError, KmsError, replyFor, statusName, toConnectError } from "./errors.ts";
import type { Answered, CallFailure, CallObserver, KeyHandle, KmsMethod, Rejection } from "./ports.ts";

/** What a method learns on its way and the record shall show. */
export interface CallNotes {
  keyId: string | undefined;
  key: KeyHandle | undefined;
  answer: Pick<Answered<unknown>, "requestId" | "batchIndex"> | undefined;
}

export interface CallRunnerOptions {
  readonly admission: Admission;
  readonly clock: Clock;
  readonly observer: CallObserver;
}

export type CallRunner = <Output>(
  method: KmsMethod,
  uid: string,
  context: Pick<HandlerContext, "signal">,
  body: (notes: CallNotes) => Output | Promise<Output>,
) => Promise<Output>;

interface RunningCall {
  readonly method: KmsMethod;
  readonly uid: string;
  readonly startMs: number;
  readonly notes: CallNotes;
}

/** Runs calls so that each, however it ends, is counted once and leaves with a constant text. */
export function callRunner({ admission, clock, observer }: CallRunnerOptions): CallRunner {
  const record = (
    { method, uid, startMs, notes }: RunningCall,
    status: string,
    failure: CallFailure | undefined,
  ): void =>
    observer.ended({
      method,
      status,
      durationMs: clock.monotonicMs() - startMs,
      uid,
      keyId: notes.key?.keyId ?? notes.keyId,
      transitKeyVersion: notes.key?.version,
      openbaoRequestId: notes.answer?.requestId,
      batchIndex: notes.answer?.batchIndex,
      failure,
    });
  const fail = (call: RunningCall, failure: CallFailure): ConnectError => {
    const reply = replyFor(failure.errorClass, failure.code);
    record(call, statusName(reply.code), failure);
    return toConnectError(reply);
  };

  return async (method, uid, { signal }, body) => {
    const notes: CallNotes = { keyId: undefined, key: undefined, answer: undefined };
    const call = { method, uid, startMs: clock.monotonicMs(), notes };
    try {
      admission.enter(method);
    } catch (error) {
      throw fail(call, refusal(error));
    }
    observer.started(method);
    try {
      signal.throwIfAborted();
      const output = await body(notes);
      record(call, "OK", undefined);
      return output;
    } catch (error) {
      throw fail(call, signal.aborted ? aborted(error, signal) : refusal(error));
    } finally {
      admission.leave(method);
    }
  };
}

/**
 * When the caller's deadline has passed or the caller is gone, that is the failure, whatever a layer below made of the
 * abort.
 */
function aborted(cause: unknown, signal: AbortSignal): CallFailure {
  return { errorClass: abortClass(signal), code: undefined, rejection: undefined, unexpected: false, cause };
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

/** Connect's deadline aborts with its own error; every other reason is a caller or a connection that went away. */
function abortClass(signal: AbortSignal): ErrorClass {
  const reason: unknown = signal.reason;
  return reason instanceof ConnectError && reason.code === Code.DeadlineExceeded ? "timeout" : "canceled";
}

function rejectionOf(error: unknown): Rejection | undefined {
  if (error instanceof AnnotationError) {
    return { check: "associated_data", reason: error.problem };
  }
  if (!(error instanceof ProviderError)) {
    return undefined;
  }
  switch (error.code) {
    case "concurrency_limit":
      return { check: "concurrency" };
    case "key_id_malformed":
      return { check: "key_id", reason: "malformed" };
    case "ciphertext_version_differs":
      return { check: "key_id", reason: "version_mismatch" };
    case "version_removed":
      return { check: "key_id", reason: "removed" };
    case "version_rejected":
      return { check: "key_id", reason: "rejected" };
  }
  switch (error.errorClass) {
    case "key_id_unknown":
      return { check: "key_id", reason: "unknown" };
    case "aad_mismatch":
      return {
        check: "associated_data",
        reason: error instanceof KmsError ? "disagrees" : "refused_by_openbao",
      };
    default:
      return undefined;
  }
}
