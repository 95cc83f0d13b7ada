/** @module The TLS rules that every client of a server keeps, as Go's crypto/tls keeps them. */
import { X509Certificate } from "node:crypto";
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import { hasStrongSignature, MIN_RSA_BITS } from "../base/certificate-strength.ts";

export type ServerIdentityCode = "tls_name_mismatch" | "tls_name_in_cn" | "tls_weak_certificate";

/** Thrown through the runtime, which hands it on as it is. */
export class ServerIdentityError extends Error {
  readonly code: ServerIdentityCode;

  constructor(code: ServerIdentityCode) {
    super(code);
    this.name = "ServerIdentityError";
    this.code = code;
  }
}

/** Options of fetch, tls.connect and http2.connect alike. */
export const SERVER_VERIFICATION = {
  // Without it NODE_TLS_REJECT_UNAUTHORIZED=0 in the environment would switch verification off.
  rejectUnauthorized: true,
  // For TLS 1.2, the lowest version of the runtime; as Go has them: no key exchange without forward secrecy.
  ciphers: "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES",
  checkServerIdentity: serverIdentityProblem,
} as const;

/** Called by the runtime once for each connection, after the chain was verified. */
export function serverIdentityProblem(
  name: string,
  certificate: Pick<PeerCertificate, "raw">,
): ServerIdentityError | undefined {
  const leaf = new X509Certificate(certificate.raw);
  const code = identityCode(name, leaf);
  return code === undefined ? undefined : new ServerIdentityError(code);
}

function identityCode(name: string, leaf: X509Certificate): ServerIdentityCode | undefined {
  // A CN is no name of a server (RFC 9525 section 2).
  if (leaf.subjectAltName === undefined) {
    return "tls_name_in_cn";
  }
  if (checkServerIdentity(name, leaf.toLegacyObject()) !== undefined) {
    return "tls_name_mismatch";
  }
  const { asymmetricKeyType, asymmetricKeyDetails } = leaf.publicKey;
  const isShort = asymmetricKeyType === "rsa" && (asymmetricKeyDetails?.modulusLength ?? 0) < MIN_RSA_BITS;
  return isShort || !hasStrongSignature(leaf) ? "tls_weak_certificate" : undefined;
}
