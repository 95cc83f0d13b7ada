/**
 * What a JWT says of itself, before OpenBao judges it.
 *
 * @module Bounded decoding of a JWT (RFC 7519 in JWS compact form, RFC 7515) and the checks that find a bad credential here, with a
 * message, and not there, with a refusal. The signature is OpenBao's business.
 */
import * as v from "valibot";
import { isObject } from "../client/reply.ts";

/** No JWT of a workload comes near this. */
export const MAX_JWT_BYTES = 16_384;

export interface JwtClaims {
  /** Unix seconds, as the others. */
  readonly expiresAt: number | undefined;
  readonly notBefore: number | undefined;
  readonly issuedAt: number | undefined;
  readonly issuer: string | undefined;
  readonly subject: string | undefined;
  readonly audience: readonly string[];
}

const COMPACT = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+$/;
const utf8 = new TextDecoder("utf-8", { fatal: true });

/** RFC 7519 section 2: seconds since 1970, a fraction allowed; at most the year 9999, so that sums stay exact. */
const numericDate = v.pipe(v.number(), v.minValue(0), v.maxValue(253_402_300_799));
const headerShape = v.object({ alg: v.pipe(v.string(), v.notValue("none")) });
const claimsShape = v.object({
  exp: v.optional(numericDate),
  nbf: v.optional(numericDate),
  iat: v.optional(numericDate),
  iss: v.optional(v.string()),
  sub: v.optional(v.string()),
  aud: v.optional(v.union([v.string(), v.array(v.string())]), []),
});

/** The claims of a JWT in compact form; `undefined` when the text is none, is unsigned, or is too long. */
export function decodeJwtClaims(text: string): JwtClaims | undefined {
  if (text.length > MAX_JWT_BYTES) {
    return undefined;
  }
  const [, header, payload] = COMPACT.exec(text) ?? [];
  const claims = v.safeParse(claimsShape, jsonOf(payload));
  if (!v.is(headerShape, jsonOf(header)) || !claims.success) {
    return undefined;
  }
  const { exp, nbf, iat, iss, sub, aud } = claims.output;
  return {
    expiresAt: exp,
    notBefore: nbf,
    issuedAt: iat,
    issuer: iss,
    subject: sub,
    audience: typeof aud === "string" ? [aud] : aud,
  };
}

function jsonOf(part: string | undefined): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(
      utf8.decode(Uint8Array.fromBase64(part ?? "", { alphabet: "base64url" })),
    );
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

export interface JwtExpectations {
  readonly minRemainingTtlMs: number;
  readonly leewayMs: number;
  /** Empty: anyone. */
  readonly issuer: string;
  /** One of them must be in `aud`; empty: anyone. */
  readonly audience: readonly string[];
  readonly subject: string;
}

export type ClaimProblem =
  | "jwt_expired"
  | "jwt_expires_soon"
  | "jwt_not_yet_valid"
  | "jwt_issued_in_future"
  | "jwt_wrong_issuer"
  | "jwt_wrong_audience"
  | "jwt_wrong_subject";

/** The first claim that will not do at this time, or `undefined`. */
export function claimProblem(
  claims: JwtClaims,
  expected: JwtExpectations,
  nowWallMs: number,
): ClaimProblem | undefined {
  const inMs = (seconds: number | undefined): number | undefined =>
    seconds === undefined ? undefined : seconds * 1000 - nowWallMs;
  const remainingMs = inMs(claims.expiresAt);
  if (remainingMs !== undefined && remainingMs + expected.leewayMs <= 0) {
    return "jwt_expired";
  }
  if ((inMs(claims.notBefore) ?? 0) > expected.leewayMs) {
    return "jwt_not_yet_valid";
  }
  if ((inMs(claims.issuedAt) ?? 0) > expected.leewayMs) {
    return "jwt_issued_in_future";
  }
  if (remainingMs !== undefined && remainingMs < expected.minRemainingTtlMs) {
    return "jwt_expires_soon";
  }
  if (expected.issuer !== "" && claims.issuer !== expected.issuer) {
    return "jwt_wrong_issuer";
  }
  if (expected.audience.length > 0 && !expected.audience.some((each) => claims.audience.includes(each))) {
    return "jwt_wrong_audience";
  }
  return expected.subject !== "" && claims.subject !== expected.subject ? "jwt_wrong_subject" : undefined;
}
