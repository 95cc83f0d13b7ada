/**
 * What can go wrong between us and a server before an HTTP answer is there.
 *
 * @module What lives here: the closed set of transport codes, the one table from Bun's error codes to ours, and the one
 * table from ours to class, message and advice. What does not: the meaning of an HTTP status (openbao/client/errors.ts).
 */
import { stopReason } from "../base/deadline.ts";
import { type ErrorClass, ProviderError } from "../base/error-class.ts";

export type TransportCode =
  | "timeout"
  | "canceled"
  | "dns_failed"
  | "connect_refused"
  | "connect_failed"
  | "connection_lost"
  | "tls_untrusted"
  | "tls_name_mismatch"
  | "tls_expired"
  | "tls_not_yet_valid"
  | "tls_wrong_usage"
  | "tls_server_is_ca"
  | "tls_client_refused"
  | "tls_no_shared_scheme"
  | "tls_handshake_failed"
  | "redirect_refused"
  | "body_too_large"
  | "reply_malformed"
  | "request_failed";

export class TransportError extends ProviderError<TransportCode> {}

/** How a server and the settings that lead to it are called in messages. */
export interface EndpointNames {
  /** "OpenBao", "the token endpoint". */
  readonly what: string;
  /** The field that holds the address: `openbao.address`. */
  readonly addressField: string;
  readonly caField: string;
  readonly serverNameField: string;
}

interface Meaning {
  readonly errorClass: ErrorClass;
  readonly problem: (names: EndpointNames) => string;
  readonly advice?: (names: EndpointNames) => string;
}

const MEANINGS: Readonly<Record<TransportCode, Meaning>> = {
  timeout: {
    errorClass: "timeout",
    problem: () => "did not answer in time",
    advice: ({ addressField }) =>
      `see whether the server of ${addressField} is overloaded or a firewall drops packets to it; openbao.timeout is how long one call may take`,
  },
  canceled: { errorClass: "canceled", problem: () => "was no longer waited for: the caller gave up" },
  dns_failed: {
    errorClass: "openbao_unavailable",
    problem: () => "cannot be found: its host name does not resolve",
    advice: ({ addressField }) =>
      `check the host name in ${addressField} with: getent hosts NAME; before the cluster's DNS runs use an address or /etc/hosts`,
  },
  connect_refused: {
    errorClass: "openbao_unavailable",
    problem: () => "refuses the connection: nothing listens there",
    advice: ({ addressField }) => `start it, or correct host and port in ${addressField}`,
  },
  connect_failed: {
    errorClass: "openbao_unavailable",
    problem: () => "cannot be connected to",
    advice: () => "check the route and the firewall between this node and it",
  },
  connection_lost: {
    errorClass: "openbao_unavailable",
    problem: () => "closed the connection before its answer was complete",
    advice: () => "see whether it or a proxy before it was restarted, and its own log",
  },
  tls_untrusted: {
    errorClass: "openbao_unavailable",
    problem: ({ caField }) => `shows a certificate that no certificate of ${caField} vouches for`,
    advice: ({ caField }) =>
      `put the root CA of its certificate into the file of ${caField}, and let the server send its intermediates`,
  },
  tls_name_mismatch: {
    errorClass: "config_invalid",
    problem: ({ serverNameField }) => `shows a certificate that does not hold the name of ${serverNameField}`,
    advice: ({ serverNameField }) =>
      `set ${serverNameField} to a DNS name of the certificate's subject alternative names`,
  },
  tls_expired: {
    errorClass: "openbao_unavailable",
    problem: () => "shows a certificate, or a CA above it, that has expired",
    advice: () => "renew the server's certificate; check this node's clock",
  },
  tls_not_yet_valid: {
    errorClass: "openbao_unavailable",
    problem: () => "shows a certificate that is not valid yet",
    advice: () => "check this node's clock with: timedatectl",
  },
  tls_wrong_usage: {
    errorClass: "openbao_unavailable",
    problem: () => "shows a certificate that is not meant for servers",
    advice: () => "issue the server's certificate with extended key usage serverAuth",
  },
  tls_server_is_ca: {
    errorClass: "openbao_unavailable",
    problem: () => "shows a certificate that is a CA's own (CA:TRUE), which is not taken for a server's",
    advice: () => "issue a certificate for the server from that CA, with basicConstraints CA:FALSE",
  },
  tls_client_refused: {
    errorClass: "auth_failed",
    problem: () => "refused the client certificate during the TLS handshake",
    advice: () =>
      "let the listener trust the CA of the client certificate (tls_client_ca_file), or leave the check to the auth mount (no tls_require_and_verify_client_cert)",
  },
  tls_no_shared_scheme: {
    errorClass: "openbao_unavailable",
    problem: () => "and the PKCS#11 token have no TLS version and signature scheme in common",
    advice: () => "allow the token CKM_RSA_PKCS_PSS, or the server TLS 1.2",
  },
  tls_handshake_failed: {
    errorClass: "openbao_unavailable",
    problem: () => "ended the TLS handshake",
    advice: ({ addressField }) =>
      `check that ${addressField} names a TLS port with TLS 1.2 or later that does not demand a client certificate`,
  },
  redirect_refused: {
    errorClass: "openbao_unavailable",
    problem: () => "answers with a redirect, which is never followed",
    advice: ({ addressField }) =>
      `name in ${addressField} the server itself, or let its standby nodes forward requests`,
  },
  body_too_large: {
    errorClass: "openbao_unavailable",
    problem: () => "sent an answer larger than is accepted",
  },
  reply_malformed: {
    errorClass: "openbao_unavailable",
    problem: () => "sent something that is not HTTP",
    advice: ({ addressField }) => `check that ${addressField} names the right port`,
  },
  request_failed: { errorClass: "openbao_unavailable", problem: () => "could not be asked" },
};

/** As thrown by Bun 1.4.5 as `error.code`; https.test.ts and tls-trust.test.ts provoke those that a server can provoke. */
const BUN_CODES: Readonly<Record<string, TransportCode>> = {
  ENOTFOUND: "dns_failed",
  EAI_AGAIN: "dns_failed",
  ENODATA: "dns_failed",
  ESERVFAIL: "dns_failed",
  ECONNREFUSED: "connect_refused",
  FailedToOpenSocket: "connect_failed",
  EHOSTUNREACH: "connect_failed",
  ENETUNREACH: "connect_failed",
  EADDRNOTAVAIL: "connect_failed",
  ETIMEDOUT: "connect_failed",
  EACCES: "connect_failed",
  EPERM: "connect_failed",
  ECONNRESET: "connection_lost",
  EPIPE: "connection_lost",
  ConnectionClosed: "connection_lost",
  EPROTO: "tls_handshake_failed",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "tls_untrusted",
  UNABLE_TO_GET_ISSUER_CERT: "tls_untrusted",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "tls_untrusted",
  DEPTH_ZERO_SELF_SIGNED_CERT: "tls_untrusted",
  SELF_SIGNED_CERT_IN_CHAIN: "tls_untrusted",
  CERT_SIGNATURE_FAILURE: "tls_untrusted",
  CERT_UNTRUSTED: "tls_untrusted",
  CERT_REJECTED: "tls_untrusted",
  CERT_CHAIN_TOO_LONG: "tls_untrusted",
  CERT_REVOKED: "tls_untrusted",
  INVALID_CA: "tls_untrusted",
  PATH_LENGTH_EXCEEDED: "tls_untrusted",
  ERR_TLS_CERT_ALTNAME_INVALID: "tls_name_mismatch",
  HOSTNAME_MISMATCH: "tls_name_mismatch",
  CERT_HAS_EXPIRED: "tls_expired",
  CERT_NOT_YET_VALID: "tls_not_yet_valid",
  INVALID_PURPOSE: "tls_wrong_usage",
  UnexpectedRedirect: "redirect_refused",
  InvalidHTTPResponse: "reply_malformed",
  ResponseHeadersTooLarge: "reply_malformed",
};

/** The transport error of a code, in the words of the endpoint. `origin` is configuration, so it may be shown. */
export function transportError(
  code: TransportCode,
  names: EndpointNames,
  origin: string,
  cause?: unknown,
): TransportError {
  const { errorClass, problem, advice } = MEANINGS[code];
  return new TransportError({
    code,
    errorClass,
    message: `${names.what} at ${origin} ${problem(names)}`,
    ...(advice === undefined ? {} : { advice: advice(names) }),
    cause,
  });
}

/** The code of whatever fetch threw, given the signal that it ran under. */
export function transportCodeOf(thrown: unknown, signal: AbortSignal): TransportCode {
  if (signal.aborted) {
    return stopReason(signal);
  }
  const code = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
  return typeof code === "string" && Object.hasOwn(BUN_CODES, code)
    ? (BUN_CODES[code] ?? "request_failed")
    : "request_failed";
}
