/**
 * The certificate that proves who we are, before OpenBao sees it.
 *
 * @module Decodes a chain and finds here, with a message, what OpenBao would only refuse. For keys in files (cert-file-method.ts)
 * and in PKCS#11 tokens alike: of the key it takes only the public part.
 */
import { type KeyObject, X509Certificate } from "node:crypto";
import { formatDuration } from "../../base/duration.ts";
import type { ErrorClass } from "../../base/error-class.ts";
import { AuthError } from "./errors.ts";

/** A chain of several certificates has a few KB. */
export const MAX_CHAIN_BYTES = 65_536;
const MAX_CHAIN_LENGTH = 8;

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;
const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";
const MIN_RSA_BITS = 2048;
const CURVES: ReadonlySet<string> = new Set(["prime256v1", "secp384r1"]);

/** Leaf first, as in the file. */
export type CertificateChain = readonly [X509Certificate, ...X509Certificate[]];

/** The certificates of a PEM text; `undefined` when there is none, one is broken, or there are too many. */
export function decodeChain(bytes: Uint8Array): CertificateChain | undefined {
  if (bytes.length > MAX_CHAIN_BYTES) {
    return undefined;
  }
  const blocks = new TextDecoder("latin1").decode(bytes).match(PEM_CERTIFICATE) ?? [];
  if (blocks.length > MAX_CHAIN_LENGTH) {
    return undefined;
  }
  try {
    const [leaf, ...others] = blocks.map((block) => new X509Certificate(block));
    return leaf === undefined ? undefined : [leaf, ...others];
  } catch {
    return undefined;
  }
}

export interface CertificateRules {
  readonly minRemainingTtlMs: number;
  readonly leewayMs: number;
}

export type CertificateProblem =
  | "certificate_key_mismatch"
  | "certificate_expired"
  | "certificate_expires_soon"
  | "certificate_not_yet_valid"
  | "certificate_wrong_usage"
  | "certificate_chain_broken"
  | "certificate_weak";

/** The first thing about the chain that will not do at this time, or `undefined`. Trust in its end is OpenBao's to decide. */
export function certificateProblem(
  chain: CertificateChain,
  publicKey: KeyObject,
  rules: CertificateRules,
  nowWallMs: number,
): CertificateProblem | undefined {
  const [leaf] = chain;
  if (!leaf.publicKey.equals(publicKey)) {
    return "certificate_key_mismatch";
  }
  const remainingMs = leaf.validToDate.getTime() - nowWallMs;
  if (remainingMs + rules.leewayMs <= 0) {
    return "certificate_expired";
  }
  if (leaf.validFromDate.getTime() - nowWallMs > rules.leewayMs) {
    return "certificate_not_yet_valid";
  }
  if (remainingMs < rules.minRemainingTtlMs) {
    return "certificate_expires_soon";
  }
  // RFC 5280 section 4.2.1.12: without the extension every usage is allowed.
  const usages = leaf.keyUsage ?? [];
  if (usages.length > 0 && !usages.includes(CLIENT_AUTH)) {
    return "certificate_wrong_usage";
  }
  if (!isUnbroken(chain)) {
    return "certificate_chain_broken";
  }
  // The signature on a root means nothing: it is trusted, or not, for being known.
  const signed = chain.filter((each) => !each.checkIssued(each));
  return hasWeakKey(leaf) || signed.some(hasWeakSignature) ? "certificate_weak" : undefined;
}

/** RFC 8446 section 4.4.2: each certificate certifies the one before it. */
function isUnbroken(chain: CertificateChain): boolean {
  return chain.every((each, index) => {
    const issuer = chain[index + 1];
    return issuer === undefined || (issuer.ca && each.checkIssued(issuer) && each.verify(issuer.publicKey));
  });
}

function hasWeakKey({ publicKey }: X509Certificate): boolean {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = publicKey;
  const isGood =
    (type === "rsa" && (details?.modulusLength ?? 0) >= MIN_RSA_BITS) ||
    (type === "ec" && CURVES.has(details?.namedCurve ?? ""));
  return !isGood;
}

const STRONG_SIGNATURE = /sha-?(256|384|512)|^ed(25519|448)$/i;
const PSS = "1.2.840.113549.1.1.10";
/** RFC 4055 section 3.1: the AlgorithmIdentifier of RSASSA-PSS whose hash is SHA-256, 384 or 512; the default is SHA-1. */
const PSS_WITH_SHA2 =
  /06092a864886f70d01010a30[0-9a-f]{2}a0[0-9a-f]{2}30[0-9a-f]{2}060960864801650304020[123]/;

function hasWeakSignature({ signatureAlgorithm, signatureAlgorithmOid, raw }: X509Certificate): boolean {
  return signatureAlgorithmOid === PSS
    ? !PSS_WITH_SHA2.test(raw.toString("hex"))
    : !STRONG_SIGNATURE.test(signatureAlgorithm ?? "");
}

interface Meaning {
  readonly errorClass: ErrorClass;
  readonly problem: (rules: CertificateRules) => string;
  readonly advice: string;
}

const RENEW = "have the certificate renewed";

const MEANINGS: Readonly<Record<CertificateProblem, Meaning>> = {
  certificate_key_mismatch: {
    errorClass: "auth_failed",
    problem: () => "is not that of the private key",
    advice: "put certificate and private key of one request in place together",
  },
  certificate_expired: { errorClass: "auth_expired", problem: () => "has expired", advice: RENEW },
  certificate_expires_soon: {
    errorClass: "auth_expired",
    problem: ({ minRemainingTtlMs }) =>
      `is valid for less than auth.cert.minRemainingTtl (${formatDuration(minRemainingTtlMs)})`,
    advice: RENEW,
  },
  certificate_not_yet_valid: {
    errorClass: "auth_failed",
    problem: () => "is not valid yet",
    advice: "compare this node's clock with the CA's: timedatectl",
  },
  certificate_wrong_usage: {
    errorClass: "auth_failed",
    problem: () => "is not meant for clients",
    advice: "have it issued with extended key usage clientAuth",
  },
  certificate_chain_broken: {
    errorClass: "auth_failed",
    problem: () => "is followed by certificates of which one does not certify the one before it",
    advice: "put the leaf first, then the CA that issued it, then the CA above that",
  },
  certificate_weak: {
    errorClass: "auth_failed",
    problem: () => "has a weak key or a weak signature",
    advice: "have it issued for RSA of 2048 bits or more, P-256 or P-384, signed with SHA-256 or better",
  },
};

/** The error of a problem; `what` names the certificate by its field and path. */
export function certificateError(code: CertificateProblem, what: string, rules: CertificateRules): AuthError {
  const { errorClass, problem, advice } = MEANINGS[code];
  return new AuthError({ code, errorClass, message: `${what} ${problem(rules)}`, advice });
}

/** The error of a file that holds no chain. */
export function chainError(what: string, path: string): AuthError {
  return new AuthError({
    code: "certificate_malformed",
    errorClass: "auth_failed",
    message: `${what} is no PEM certificate chain of at most ${MAX_CHAIN_LENGTH} certificates`,
    advice: `put the leaf first, then its intermediates; look at it with: openssl x509 -in ${path} -noout -subject -dates`,
  });
}
