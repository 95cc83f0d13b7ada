/** @module The claims of a JWT (RFC 7519), checked before OpenBao sees it. */
import * as v from "valibot";
import { parseJsonObject } from "../../base/parse-json.ts";
import type { AuthCodeOf } from "./errors.ts";

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

/** Why a text is not a JWT that OpenBao can take. */
export type JwtFlaw =
  /** Not three parts of base64url with two JSON objects, too long, or unsigned. */
  | { readonly kind: "not_compact" }
  /** One claim has a type that OpenBao cannot read. */
  | { readonly kind: "claim"; readonly claim: (typeof CLAIMS)[number]["name"]; readonly expected: string };

type JwtDecoding =
  | { readonly ok: true; readonly claims: JwtClaims }
  | { readonly ok: false; readonly flaw: JwtFlaw };

/** RFC 7519 section 2: seconds since 1970, a fraction allowed. A null claim is an absent one, as for OpenBao. */
const numericDate = v.nullish(v.pipe(v.number(), v.finite()));
const text = v.nullish(v.string());
const headerShape = v.object({ alg: v.pipe(v.string(), v.notValue("none")) });
const SECONDS = { shape: numericDate, expected: "a number of seconds since 1970" };
const TEXT = { shape: text, expected: "a text" };
const TEXTS = {
  shape: v.nullish(v.union([v.string(), v.array(v.string())])),
  expected: "a text or a list of texts",
};
const CLAIMS = [
  { name: "exp", ...SECONDS },
  { name: "nbf", ...SECONDS },
  { name: "iat", ...SECONDS },
  { name: "iss", ...TEXT },
  { name: "sub", ...TEXT },
  { name: "aud", ...TEXTS },
] as const;

/** The last second of the year 9999: later times, such as milliseconds, become this one, so that dates can show them. */
const LAST_SECOND = 253_402_300_799;

/** The claims of a JWT in compact form, or what is wrong with it. */
export function decodeJwtClaims(jwt: string): JwtDecoding {
  const [, header, payload] = jwt.length > MAX_JWT_BYTES ? [] : (COMPACT.exec(jwt) ?? []);
  const claims = jsonOf(payload);
  if (claims === undefined || !v.is(headerShape, jsonOf(header))) {
    return { ok: false, flaw: { kind: "not_compact" } };
  }
  const wrong = CLAIMS.find(({ name, shape }) => !v.is(shape, claims[name]));
  if (wrong !== undefined) {
    return { ok: false, flaw: { kind: "claim", claim: wrong.name, expected: wrong.expected } };
  }
  const { aud } = claims;
  return {
    ok: true,
    claims: {
      expiresAt: secondsOf(claims["exp"]),
      notBefore: secondsOf(claims["nbf"]),
      issuedAt: secondsOf(claims["iat"]),
      issuer: textOf(claims["iss"]),
      subject: textOf(claims["sub"]),
      audience: typeof aud === "string" ? [aud] : v.parse(v.fallback(v.array(v.string()), []), aud),
    },
  };
}

function secondsOf(claim: unknown): number | undefined {
  return typeof claim === "number" ? Math.min(claim, LAST_SECOND) : undefined;
}

function textOf(claim: unknown): string | undefined {
  return typeof claim === "string" ? claim : undefined;
}

function jsonOf(part: string | undefined): Readonly<Record<string, unknown>> | undefined {
  try {
    return parseJsonObject(Uint8Array.fromBase64(part ?? "", { alphabet: "base64url" }));
  } catch {
    return undefined;
  }
}

/** A time that far ahead is one in milliseconds. */
const FAR_SECONDS = 100_000_000_000;

/** Whether a time of the claims can only be one in milliseconds. */
export function isMilliseconds(seconds: number | undefined): boolean {
  return (seconds ?? 0) > FAR_SECONDS;
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

export type ClaimProblem = Exclude<AuthCodeOf<"jwt_">, "jwt_malformed">;

/** The first claim that OpenBao or the configuration refuses at this time, or `undefined`. */
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
