/** @module Why a request failed: the code of what the runtime threw, or of a second TLS handshake where that does not say. */
import { isIP } from "node:net";
import { type ConnectionOptions, connect } from "node:tls";
import { stopReason, withDeadline } from "../base/deadline.ts";
import { errnoOf } from "../base/errno.ts";
import type { TransportCode } from "./errors.ts";
import { ServerIdentityError } from "./server-identity.ts";

/** `error.code` of Bun 1.4.5: fetch's own names, and those of OpenSSL that tls and http2 pass on. */
const RUNTIME_CODES: Readonly<Record<string, TransportCode>> = {
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
  ERR_SSL_KEY_USAGE_BIT_INCORRECT: "tls_key_usage",
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: "tls_no_shared_version",
  ERR_SSL_UNSUPPORTED_PROTOCOL: "tls_no_shared_version",
  ERR_SSL_TLSV1_ALERT_INSUFFICIENT_SECURITY: "tls_no_shared_version",
  ERR_SSL_WRONG_VERSION_NUMBER: "tls_not_spoken",
  ERR_SSL_HTTP_REQUEST: "tls_not_spoken",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "tls_untrusted",
  UNABLE_TO_GET_ISSUER_CERT: "tls_root_missing",
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
  PERMITTED_VIOLATION: "tls_constraint_violated",
  EXCLUDED_VIOLATION: "tls_constraint_violated",
  UNHANDLED_CRITICAL_EXTENSION: "tls_unknown_extension",
  UnexpectedRedirect: "redirect_refused",
  InvalidHTTPResponse: "reply_malformed",
  ResponseHeadersTooLarge: "reply_malformed",
};

const VERIFY_TEXTS: Readonly<Record<string, TransportCode>> = {
  "permitted subtree violation": "tls_constraint_violated",
  "excluded subtree violation": "tls_constraint_violated",
  "unhandled critical extension": "tls_unknown_extension",
};

/** What a server says that takes no client without a certificate, or not this one. */
const CLIENT_REFUSED = /^ERR_SSL_\w+_ALERT_(?:UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_\w+)$/;

/** The code of what fetch, tls or http2 threw, given the signal that it ran under. */
export function transportCodeOf(thrown: unknown, signal: AbortSignal): TransportCode {
  if (signal.aborted) {
    return stopReason(signal);
  }
  if (thrown instanceof ServerIdentityError) {
    return thrown.code;
  }
  const code = errnoOf(thrown) ?? "";
  if (CLIENT_REFUSED.test(code)) {
    return "tls_client_refused";
  }
  const known = Object.hasOwn(RUNTIME_CODES, code) ? RUNTIME_CODES[code] : undefined;
  // Bun's tls gives UNSPECIFIED where its fetch gives the name of X509_V_ERR; the text is OpenSSL's constant.
  return known ?? (thrown instanceof Error ? VERIFY_TEXTS[thrown.message] : undefined) ?? "request_failed";
}

const LONGEST_MS = 1000;
/** With TLS 1.3 a server refuses a client's certificate after the client has seen the handshake end. */
const AFTER_HANDSHAKE_MS = 200;

/** The code of the reason; `tls_handshake_failed` when the second handshake does not show one. Never throws. */
export async function handshakeFailure(
  url: string,
  { serverName, ...tls }: ConnectionOptions & { readonly serverName: string },
  signal: AbortSignal,
): Promise<TransportCode> {
  const { hostname, port } = new URL(url);
  using deadline = withDeadline(signal, LONGEST_MS);
  const socket = connect({
    ...tls,
    host: hostname.replace(/^\[|\]$/g, ""),
    port: port === "" ? 443 : Number(port),
    ...(isIP(serverName) === 0 ? { servername: serverName } : {}),
    checkServerIdentity: (_, certificate) => tls.checkServerIdentity?.(serverName, certificate),
  });
  const code = await new Promise<TransportCode>((resolve) => {
    const giveUp = (): void => resolve("tls_handshake_failed");
    deadline.signal.addEventListener("abort", giveUp, { once: true });
    socket.once("error", (error) => resolve(transportCodeOf(error, signal)));
    socket.once("close", giveUp);
    socket.once("secureConnect", () => socket.setTimeout(AFTER_HANDSHAKE_MS, giveUp));
  });
  socket.on("error", () => {});
  socket.destroy();
  return code.startsWith("tls_") ? code : "tls_handshake_failed";
}
