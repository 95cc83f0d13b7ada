/**
 * @module What a failed call to an etcd member means: one table of gRPC codes. Text of the remote only tells two meanings apart.
 * @see https://github.com/etcd-io/etcd/blob/main/api/v3rpc/rpctypes/error.go
 */
import { Code, ConnectError } from "@connectrpc/connect";
import { isLastingTlsCode, type TransportError, transportError } from "../../http/errors.ts";
import { transportCodeOf } from "../../http/failure-code.ts";

export type CallFailure =
  /** Ask again, best another member. */
  | "try_again"
  /** The revision is gone: everything read so far describes a state that can no longer be completed. */
  | "compacted"
  /** The answer was larger than what is taken: ask for fewer objects. */
  | "too_large"
  | "denied"
  | "invalid";

const MEANING: Readonly<Record<Code, CallFailure>> = {
  [Code.Canceled]: "try_again",
  [Code.Unknown]: "try_again",
  [Code.InvalidArgument]: "denied",
  [Code.DeadlineExceeded]: "try_again",
  [Code.NotFound]: "invalid",
  [Code.AlreadyExists]: "invalid",
  [Code.PermissionDenied]: "denied",
  [Code.ResourceExhausted]: "too_large",
  [Code.FailedPrecondition]: "try_again",
  [Code.Aborted]: "try_again",
  [Code.OutOfRange]: "try_again",
  [Code.Unimplemented]: "invalid",
  [Code.Internal]: "try_again",
  [Code.Unavailable]: "try_again",
  [Code.DataLoss]: "invalid",
  [Code.Unauthenticated]: "denied",
};

/**
 * `OutOfRange` is both a compacted revision and one that a member behind the others has not seen yet; `ResourceExhausted`
 * is both our own bound and an etcd that is asked too much.
 */
export function callFailure(error: unknown): CallFailure {
  const { code, rawMessage } = ConnectError.from(error);
  if (code === Code.OutOfRange && rawMessage.includes("compacted")) {
    return "compacted";
  }
  if (code === Code.ResourceExhausted && rawMessage.includes("too many requests")) {
    return "try_again";
  }
  return MEANING[code];
}

const NAMES = {
  what: "etcd",
  addressField: "--etcd-endpoints",
  caField: "--etcd-ca",
  serverNameField: "--etcd-endpoints",
} as const;

interface ConnectionFailure {
  readonly error: TransportError;
  readonly isLasting: boolean;
}

export function connectionFailure(thrown: unknown, url: string, signal: AbortSignal): ConnectionFailure {
  const { code: grpcCode, cause } = ConnectError.from(thrown);
  const code = grpcCode === Code.DeadlineExceeded ? "timeout" : transportCodeOf(cause, signal);
  return { error: transportError(code, NAMES, url, thrown), isLasting: isLastingTlsCode(code) };
}
