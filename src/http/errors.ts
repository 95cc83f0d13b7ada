/** @module What can go wrong before a server has answered over HTTP. */
import { type Meaning, meaningFor, ProviderError } from "../base/error-class.ts";

export type TransportCode = keyof typeof MEANINGS;

export class TransportError extends ProviderError<TransportCode> {}

/** The names of a server and of its settings in messages. */
export interface EndpointNames {
  /** "OpenBao", "the token endpoint". */
  readonly what: string;
  /** The field of the address: `openbao.address`. */
  readonly addressField: string;
  readonly caField: string;
  readonly serverNameField: string;
}

/** A server that cannot be used is unavailable, unless its entry has another class. */
type TransportMeaning = Omit<Meaning<EndpointNames>, "errorClass"> & Partial<Meaning<EndpointNames>>;

const MEANINGS = {
  timeout: {
    errorClass: "timeout",
    problem: "did not answer in time",
    advice: ({ addressField }) =>
      `check whether the server in ${addressField} is overloaded or a firewall drops its packets; openbao.timeout limits one call`,
  },
  canceled: { errorClass: "canceled", problem: "did not answer before the caller cancelled the call" },
  dns_failed: {
    problem: "cannot be found: its host name does not resolve",
    advice: ({ addressField }) =>
      `check the host name in ${addressField}: getent hosts NAME; before the cluster's DNS runs, use an address or /etc/hosts`,
  },
  connect_refused: {
    problem: "refuses the connection: nothing listens there",
    advice: ({ addressField }) => `start it, or correct the host and port in ${addressField}`,
  },
  connect_failed: {
    problem: "cannot be reached",
    advice: "check the route and the firewall between this node and the server",
  },
  connection_lost: {
    problem: "closed the connection before its answer was complete",
    advice: "check its log; it, or a proxy in front of it, may have restarted",
  },
  tls_untrusted: {
    problem: ({ caField }) => `presents a certificate that no CA in ${caField} issued`,
    advice: ({ caField }) =>
      `put the root CA of its certificate into the file of ${caField}, and configure the server to send its intermediate certificates`,
  },
  tls_name_mismatch: {
    errorClass: "config_invalid",
    problem: ({ serverNameField }) => `presents a certificate for another name than ${serverNameField}`,
    advice: ({ serverNameField }) =>
      `set ${serverNameField} to a DNS name of the certificate's subject alternative names`,
  },
  tls_expired: {
    problem: "presents a certificate chain with an expired certificate",
    advice: "renew the expired certificate; check this node's clock: timedatectl",
  },
  tls_not_yet_valid: {
    problem: "presents a certificate that is not valid yet",
    advice: "check this node's clock: timedatectl",
  },
  tls_wrong_usage: {
    problem: "presents a certificate that is not a server certificate",
    advice: "issue the server's certificate with extended key usage serverAuth",
  },
  tls_key_usage: {
    problem: "presents a certificate whose keyUsage lacks digitalSignature, which TLS with ECDHE needs",
    advice:
      "issue the server's certificate with keyUsage digitalSignature (and keyEncipherment), or without keyUsage",
  },
  tls_name_in_cn: {
    problem:
      "presents a certificate with a name in its subject only, and none in its subject alternative names",
    advice: ({ serverNameField }) =>
      `issue the server's certificate with the name of ${serverNameField} in subjectAltName`,
  },
  tls_weak_certificate: {
    problem: "presents a certificate with an RSA key below 2048 bits or a signature with SHA-1 or MD5",
    advice: "issue the server's certificate with RSA of 2048 bits or more or ECDSA, signed with SHA-256",
  },
  tls_root_missing: {
    problem: ({ caField }) => `presents a certificate whose root CA is not in ${caField}`,
    advice: ({ caField }) =>
      `put the root CA into the file of ${caField} too; an intermediate CA alone is not enough`,
  },
  tls_constraint_violated: {
    problem: "presents a certificate that the name constraints of its CA forbid",
    advice: "issue it from a CA whose name constraints permit the server's names",
  },
  tls_unknown_extension: {
    problem: "presents a certificate with an unknown critical extension",
    advice: "issue the server's certificate without that extension, or mark it as not critical",
  },
  tls_no_shared_version: {
    problem: "and this client have no TLS version and cipher suite in common",
    advice: "allow TLS 1.3, or TLS 1.2 with ECDHE cipher suites, at the server",
  },
  tls_not_spoken: {
    problem: "does not speak TLS on this port",
    advice: ({ addressField }) => `check the port in ${addressField}, or turn TLS on at the server`,
  },
  tls_server_is_ca: {
    problem: "presents a CA certificate (CA:TRUE) as its server certificate",
    advice: "issue a certificate for the server from that CA, with basicConstraints CA:FALSE",
  },
  tls_client_refused: {
    errorClass: "auth_failed",
    problem: "requires a client certificate in the TLS handshake, or refused the one that was presented",
    advice:
      "let the listener trust the CA of the client certificate (tls_client_ca_file), or leave the check to the auth mount (no tls_require_and_verify_client_cert)",
  },
  tls_no_shared_scheme: {
    problem: "and the PKCS#11 token have no TLS version and signature scheme in common",
    advice: "use a key of RSA, P-256 or P-384; allow the token CKM_RSA_PKCS_PSS, or the server TLS 1.2",
  },
  tls_handshake_failed: {
    problem: "aborted the TLS handshake",
    advice: ({ addressField }) =>
      `see the server's log; check that the port in ${addressField} speaks TLS 1.3, or TLS 1.2 with ECDHE cipher suites, and requires no client certificate`,
  },
  redirect_refused: {
    problem: "answered with a redirect, which is never followed",
    advice: ({ addressField }) =>
      `set ${addressField} to the server itself, or let its standby nodes forward requests`,
  },
  body_too_large: {
    problem: "sent an answer that is too large",
  },
  reply_malformed: {
    problem: "sent something that is not HTTP",
    advice: ({ addressField }) => `check that ${addressField} names the right port`,
  },
  request_failed: { problem: "could not be called" },
} as const satisfies Readonly<Record<string, TransportMeaning>>;

/** The transport error of a code, in the words of the endpoint. The origin of `url` is configuration, so it may be shown. */
export function transportError(
  code: TransportCode,
  names: EndpointNames,
  url: string,
  cause?: unknown,
): TransportError {
  const meaning: TransportMeaning = MEANINGS[code];
  const { errorClass, problem, advice } = meaningFor(
    { errorClass: "openbao_unavailable", ...meaning },
    names,
  );
  return new TransportError({
    code,
    errorClass,
    message: `${names.what} at ${URL.parse(url)?.origin ?? "an invalid address"} ${problem}`,
    advice,
    cause,
  });
}

/** Whether asking again cannot help: one of the two certificates, or what the server allows, has to change. */
export function isLastingTlsCode(code: string): boolean {
  return code.startsWith("tls_") && code !== "tls_handshake_failed";
}
