/**
 * Why a member of etcd could not be reached.
 *
 * @module The words are the transport's, with the audit's flags in them. What a member that was reached answers:
 * call-failure.ts.
 */
import { Code, ConnectError } from "@connectrpc/connect";
import { errnoOf } from "../../base/errno.ts";
import {
  type TransportCode,
  type TransportError,
  transportCodeOf,
  transportError,
} from "../../http/errors.ts";

const NAMES = {
  what: "etcd",
  addressField: "--etcd-endpoints",
  caField: "--etcd-ca",
  serverNameField: "--etcd-endpoints",
} as const;

/** Bun's name for what the other side said when it ended the handshake: our certificate is not one that it takes. */
const CLIENT_REFUSED = /^ERR_SSL_\w+_ALERT_(?:UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_\w+)$/;

/** What asking again cannot change. */
const LASTING: ReadonlySet<TransportCode> = new Set([
  "tls_untrusted",
  "tls_name_mismatch",
  "tls_expired",
  "tls_not_yet_valid",
  "tls_wrong_usage",
  "tls_client_refused",
]);

export interface WayFailure {
  readonly error: TransportError;
  readonly isLasting: boolean;
}

export function wayFailure(thrown: unknown, url: string, signal: AbortSignal): WayFailure {
  const { code: grpcCode, cause } = ConnectError.from(thrown);
  const code = CLIENT_REFUSED.test(errnoOf(cause) ?? "")
    ? "tls_client_refused"
    : grpcCode === Code.DeadlineExceeded
      ? "timeout"
      : transportCodeOf(cause, signal);
  return { error: transportError(code, NAMES, url, thrown), isLasting: LASTING.has(code) };
}
