/** @module Which signatures and keys of certificates are strong enough, for servers and clients alike. */
import type { X509Certificate } from "node:crypto";

export const MIN_RSA_BITS = 2048;

const STRONG_SIGNATURE = /sha-?(256|384|512)|^ed(25519|448)$/i;
const PSS = "1.2.840.113549.1.1.10";
/** RFC 4055 section 3.1: the AlgorithmIdentifier of RSASSA-PSS whose hash is SHA-256, 384 or 512; the default is SHA-1. */
const PSS_WITH_SHA2 =
  /06092a864886f70d01010a30[0-9a-f]{2}a0[0-9a-f]{2}30[0-9a-f]{2}060960864801650304020[123]/;

/** Whether the certificate's signature uses SHA-2 or EdDSA. */
export function hasStrongSignature({
  signatureAlgorithm,
  signatureAlgorithmOid,
  raw,
}: X509Certificate): boolean {
  return signatureAlgorithmOid === PSS
    ? PSS_WITH_SHA2.test(raw.toString("hex"))
    : STRONG_SIGNATURE.test(signatureAlgorithm ?? "");
}
