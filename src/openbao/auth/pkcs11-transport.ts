/** @module The connection to OpenBao with a client certificate whose key is in a PKCS#11 token. */
import { X509Certificate } from "node:crypto";
import type { CaFile } from "../../http/ca-file.ts";
import { type EndpointNames, type TransportCode, transportError } from "../../http/errors.ts";
import type { HttpTransport } from "../../http/https.ts";
import { ConnectionFailure } from "../../pkcs11/errors.ts";
import type { Pkcs11Token } from "../../pkcs11/token.ts";

interface Pkcs11TransportOptions {
  readonly token: Pick<Pkcs11Token, "request">;
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[];
  readonly trust: CaFile;
  readonly names: EndpointNames;
}

const CODES: Readonly<Record<ConnectionFailure["code"], TransportCode>> = {
  timeout: "timeout",
  canceled: "canceled",
  name_not_found: "dns_failed",
  connect_refused: "connect_refused",
  connect_failed: "connect_failed",
  connection_cut: "connection_lost",
  server_untrusted: "tls_untrusted",
  server_name: "tls_name_mismatch",
  server_validity: "tls_expired",
  server_is_ca: "tls_server_is_ca",
  server_certificate: "tls_wrong_usage",
  client_refused: "tls_client_refused",
  no_shared_scheme: "tls_no_shared_scheme",
  tls_failed: "tls_handshake_failed",
  answer_too_large: "body_too_large",
  answer_invalid: "reply_malformed",
};

export function pkcs11Transport({ token, chain, trust, names }: Pkcs11TransportOptions): HttpTransport {
  return {
    request: async (request) => {
      // A bundle that is unusable now is the ordinary transport's to report; the last good one stays in use.
      await trust.refresh().catch(() => {});
      try {
        return await token.request({ chain, ca: certificatesOf(trust.pem()) }, request);
      } catch (error) {
        if (error instanceof ConnectionFailure) {
          throw transportError(CODES[error.code], names, request.url, error);
        }
        throw error;
      }
    },
    reloadTrust: () => trust.refresh(),
    close: () => {},
  };
}

const PEM_END = "-----END CERTIFICATE-----\n";

/** The DER of each certificate of a bundle that ca-file.ts has normalised. */
function certificatesOf(pem: string): readonly Uint8Array[] {
  return pem
    .split(PEM_END)
    .filter((text) => text.trim() !== "")
    .map((text) => new X509Certificate(text + PEM_END).raw);
}
