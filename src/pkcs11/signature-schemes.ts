/** @module The TLS signature schemes that a token's key can serve, and what each asks of PKCS#11. */
import { constants, type KeyObject, verify } from "node:crypto";

/** PKCS#11 2.40, section 2: the three mechanisms that sign a hash made outside of the token. */
export const MECHANISM = { rsaPkcs: 0x1, rsaPkcsPss: 0xd, ecdsa: 0x1041 } as const;

type KeyFamily = "rsa" | "ec";
export type HashName = "sha256" | "sha384" | "sha512";

export interface SignatureScheme {
  readonly id: number;
  readonly family: KeyFamily;
  readonly hash: HashName;
  readonly mechanism: number;
  /** The curve in OpenSSL's words, for ECDSA: TLS 1.3 ties hash and curve together. */
  readonly curve?: string;
}

/** Best first. PKCS#1 v1.5 serves TLS 1.2 only: TLS 1.3 takes it for certificates, not for handshakes. */
const SIGNATURE_SCHEMES: readonly SignatureScheme[] = [
  { id: 0x0403, family: "ec", hash: "sha256", mechanism: MECHANISM.ecdsa, curve: "prime256v1" },
  { id: 0x0503, family: "ec", hash: "sha384", mechanism: MECHANISM.ecdsa, curve: "secp384r1" },
  { id: 0x0804, family: "rsa", hash: "sha256", mechanism: MECHANISM.rsaPkcsPss },
  { id: 0x0805, family: "rsa", hash: "sha384", mechanism: MECHANISM.rsaPkcsPss },
  { id: 0x0806, family: "rsa", hash: "sha512", mechanism: MECHANISM.rsaPkcsPss },
  { id: 0x0401, family: "rsa", hash: "sha256", mechanism: MECHANISM.rsaPkcs },
  { id: 0x0501, family: "rsa", hash: "sha384", mechanism: MECHANISM.rsaPkcs },
  { id: 0x0601, family: "rsa", hash: "sha512", mechanism: MECHANISM.rsaPkcs },
];

/** The family of a certificate's key; `undefined` for what the table does not serve (Ed25519, RSA-PSS keys, DSA). */
export function keyFamilyOf(publicKey: KeyObject): KeyFamily | undefined {
  const type = publicKey.asymmetricKeyType;
  return type === "rsa" || type === "ec" ? type : undefined;
}

export function schemesFor(
  publicKey: KeyObject,
  mechanisms: ReadonlySet<number>,
): readonly SignatureScheme[] {
  const family = keyFamilyOf(publicKey);
  const curve = publicKey.asymmetricKeyDetails?.namedCurve;
  return SIGNATURE_SCHEMES.filter(
    (scheme) =>
      scheme.family === family &&
      mechanisms.has(scheme.mechanism) &&
      (scheme.curve === undefined || scheme.curve === curve),
  );
}

export function isSignatureOf(
  publicKey: KeyObject,
  scheme: SignatureScheme,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  switch (scheme.mechanism) {
    case MECHANISM.ecdsa:
      return verify(scheme.hash, message, { key: publicKey, dsaEncoding: "der" }, signature);
    case MECHANISM.rsaPkcsPss:
      return verify(
        scheme.hash,
        message,
        {
          key: publicKey,
          padding: constants.RSA_PKCS1_PSS_PADDING,
          saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
        },
        signature,
      );
    default:
      return verify(
        scheme.hash,
        message,
        { key: publicKey, padding: constants.RSA_PKCS1_PADDING },
        signature,
      );
  }
}
