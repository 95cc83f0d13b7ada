/**
 * Login with a JWT, wherever it comes from.
 *
 * @module Checks the JWT's claims and makes the login request. Where the JWT comes from is an entry of its own: jwt-file.ts.
 */
import type { Clock } from "../../base/clock.ts";
import { formatDuration } from "../../base/duration.ts";
import type { ErrorClass } from "../../base/error-class.ts";
import { Secret } from "../../base/secret.ts";
import { AuthError } from "./errors.ts";
import { type ClaimProblem, claimProblem, decodeJwtClaims, type JwtExpectations } from "./jwt-claims.ts";
import type { LoginMethod } from "./login-method.ts";

export interface JwtSource {
  /** How it is called in messages: "the JWT of auth.jwt.jwtFile". */
  readonly what: string;
  /** How an operator gets a better one. */
  readonly mend: string;
  /** Whether it lies ready somewhere, and is not made for each login. */
  readonly isStored: boolean;
  /** Gets a JWT anew, compact form without blanks around it. */
  readonly get: (signal: AbortSignal) => Promise<Secret>;
}

export interface JwtMethodOptions {
  readonly mountPath: string;
  readonly role: string;
  readonly source: JwtSource;
  readonly expected: JwtExpectations;
  readonly clock: Pick<Clock, "wallMs">;
}

interface Meaning {
  readonly errorClass: ErrorClass;
  readonly problem: (expected: JwtExpectations) => string;
  readonly advice?: string;
}

const CLOCK = "compare this node's clock with the issuer's: timedatectl";

const MEANINGS: Readonly<Record<ClaimProblem, Meaning>> = {
  jwt_expired: { errorClass: "auth_expired", problem: () => "has expired" },
  jwt_expires_soon: {
    errorClass: "auth_expired",
    problem: ({ minRemainingTtlMs }) =>
      `is valid for less than auth.jwt.minRemainingTtl (${formatDuration(minRemainingTtlMs)})`,
  },
  jwt_not_yet_valid: {
    errorClass: "auth_failed",
    problem: () => "is not valid yet (claim nbf)",
    advice: CLOCK,
  },
  jwt_issued_in_future: {
    errorClass: "auth_failed",
    problem: () => "was issued in the future (claim iat)",
    advice: CLOCK,
  },
  jwt_wrong_issuer: {
    errorClass: "auth_failed",
    problem: () => "is not from auth.jwt.expectedIssuer (claim iss)",
  },
  jwt_wrong_audience: {
    errorClass: "auth_failed",
    problem: () => "is for none of auth.jwt.expectedAudience (claim aud)",
  },
  jwt_wrong_subject: {
    errorClass: "auth_failed",
    problem: () => "is not about auth.jwt.expectedSubject (claim sub)",
  },
};

export function jwtLoginMethod({ mountPath, role, source, expected, clock }: JwtMethodOptions): LoginMethod {
  const freshJwt = async (signal: AbortSignal) => {
    const jwt = await source.get(signal);
    const claims = decodeJwtClaims(jwt.expose());
    if (claims === undefined) {
      throw new AuthError({
        code: "jwt_malformed",
        errorClass: "auth_failed",
        message: `${source.what} is not a signed JWT in compact form`,
        advice: source.mend,
      });
    }
    const code = claimProblem(claims, expected, clock.wallMs());
    if (code !== undefined) {
      const { errorClass, problem, advice = source.mend } = MEANINGS[code];
      throw new AuthError({ code, errorClass, message: `${source.what} ${problem(expected)}`, advice });
    }
    return { jwt, expiresAtMs: claims.expiresAt === undefined ? undefined : claims.expiresAt * 1000 };
  };
  return {
    name: "jwt",
    operation: "jwt_login",
    mountPath,
    repeatable: true,
    prepare: async (signal) => {
      const { jwt, expiresAtMs } = await freshJwt(signal);
      return {
        body: new Secret(JSON.stringify({ role, jwt: jwt.expose() })),
        ...(expiresAtMs === undefined ? {} : { credentialExpiresAtMs: expiresAtMs }),
      };
    },
    ...(source.isStored
      ? {
          inspect: async ({ signal }) => {
            const { expiresAtMs } = await freshJwt(signal);
            return expiresAtMs === undefined ? {} : { expiresAtMs };
          },
        }
      : {}),
  };
}
