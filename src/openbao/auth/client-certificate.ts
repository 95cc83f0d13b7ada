/** @module The client certificate, checked before OpenBao sees it. */
import type { KeyObject, X509Certificate } from "node:crypto";
import { hasStrongSignature, MIN_RSA_BITS } from "../../base/certificate-strength.ts";
import { formatDuration } from "../../base/duration.ts";
import { type Meaning, meaningFor } from "../../base/error-class.ts";
import { decodePemCertificates } from "../../base/pem-certificates.ts";
import { type AuthCodeOf, AuthError } from "./errors.ts";

/** A chain of several certificates has a few KB. */
export const MAX_CHAIN_BYTES = 65_536;
const MAX_CHAIN_LENGTH = 8;

/** RFC 5280 section 4.2.1.12: clientAuth, and anyExtendedKeyUsage, which includes it. */
const CLIENT_USAGES: ReadonlySet<string> = new Set(["1.3.6.1.5.5.7.3.2", "2.5.29.37.0"]);
const CURVES: ReadonlySet<string> = new Set(["prime256v1", "secp384r1", "secp521r1"]);

/** Leaf first, as in the file. */
export type CertificateChain = readonly [X509Certificate, ...X509Certificate[]];

/** The chain of a PEM text; `undefined` when there is none, one is broken or cut off, or there are too many. */
export function decodeChain(bytes: Uint8Array): CertificateChain | undefined {
  return decodePemCertificates(bytes, { maxBytes: MAX_CHAIN_BYTES, maxCertificates: MAX_CHAIN_LENGTH });
}

export interface CertificateRules {
  readonly minRemainingTtlMs: number;
  readonly leewayMs: number;
}

export type CertificateProblem = Exclude<AuthCodeOf<"certificate_">, "certificate_malformed">;

/** The first problem of the chain at this time, or `undefined`. OpenBao decides whether its CA is trusted. */
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
  // Without the extension every usage is allowed.
  const usages = leaf.keyUsage ?? [];
  if (usages.length > 0 && !usages.some((usage) => CLIENT_USAGES.has(usage))) {
    return "certificate_wrong_usage";
  }
  if (!isUnbroken(chain)) {
    return "certificate_chain_broken";
  }
  // The signature on a root means nothing: it is trusted, or not, for being known.
  const signed = chain.filter((each) => !each.checkIssued(each));
  return hasWeakKey(leaf) || !signed.every(hasStrongSignature) ? "certificate_weak" : undefined;
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
    (type === "ec" && CURVES.has(details?.namedCurve ?? "")) ||
    type === "ed25519";
  return !isGood;
}

const RENEW = "renew the certificate";

const MEANINGS: Readonly<Record<CertificateProblem, Meaning<CertificateRules>>> = {
  certificate_key_mismatch: {
    errorClass: "auth_failed",
    problem: "does not match the private key",
    advice: "install the certificate together with the private key that it was issued for",
  },
  certificate_expired: { errorClass: "auth_expired", problem: "has expired", advice: RENEW },
  certificate_expires_soon: {
    errorClass: "auth_expired",
    problem: ({ minRemainingTtlMs }) =>
      `is valid for less than auth.cert.minRemainingTtl (${formatDuration(minRemainingTtlMs)})`,
    advice: RENEW,
  },
  certificate_not_yet_valid: {
    errorClass: "auth_failed",
    problem: "is not valid yet",
    advice: "compare this node's clock with the CA's: timedatectl",
  },
  certificate_wrong_usage: {
    errorClass: "auth_failed",
    problem: "is not a client certificate",
    advice: "issue it with extended key usage clientAuth",
  },
  certificate_chain_broken: {
    errorClass: "auth_failed",
    problem: "is followed by certificates in the wrong order",
    advice: "put the leaf first, then the CA that issued it, then the CA above that",
  },
  certificate_weak: {
    errorClass: "auth_failed",
    problem: "has a weak key or a weak signature",
    advice:
      "issue it for RSA of 2048 bits or more, P-256, P-384, P-521 or Ed25519, signed with SHA-256 or better",
  },
};

/** The error of a problem; `what` names the certificate by its field and path. */
export function certificateError(code: CertificateProblem, what: string, rules: CertificateRules): AuthError {
  const { errorClass, problem, advice } = meaningFor(MEANINGS[code], rules);
  return new AuthError({ code, errorClass, message: `${what} ${problem}`, advice });
}

/** The error of a file that holds no chain. */
export function chainError(what: string, path: string): AuthError {
  return new AuthError({
    code: "certificate_malformed",
    errorClass: "auth_failed",
    message: `${what} is not a complete PEM certificate chain of at most ${MAX_CHAIN_LENGTH} certificates`,
    advice: `put the leaf first, then its intermediates; look at it with: openssl x509 -in ${path} -noout -subject -dates`,
  });
}
