/** @module Why an etcd member could not be reached, in the transport's words and with the audit's flags. */
import { Code, ConnectError } from "@connectrpc/connect";
import { isLastingTlsCode, type TransportError, transportError } from "../../http/errors.ts";
import { transportCodeOf } from "../../http/runtime-codes.ts";

const NAMES = {
  what: "etcd",
  addressField: "--etcd-endpoints",
  caField: "--etcd-ca",
  serverNameField: "--etcd-endpoints",
} as const;

export interface ConnectionFailure {
  readonly error: TransportError;
  readonly isLasting: boolean;
}

export function connectionFailure(thrown: unknown, url: string, signal: AbortSignal): ConnectionFailure {
  const { code: grpcCode, cause } = ConnectError.from(thrown);
  const code = grpcCode === Code.DeadlineExceeded ? "timeout" : transportCodeOf(cause, signal);
  return { error: transportError(code, NAMES, url, thrown), isLasting: isLastingTlsCode(code) };
}
