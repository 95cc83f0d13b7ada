/** @module Login with a JWT. */
import type { Clock } from "../../base/clock.ts";
import { formatDuration } from "../../base/duration.ts";
import { type Meaning, meaningFor } from "../../base/error-class.ts";
import { Secret } from "../../base/secret.ts";
import { AuthError } from "./errors.ts";
import {
  type ClaimProblem,
  claimProblem,
  decodeJwtClaims,
  isMilliseconds,
  type JwtClaims,
  type JwtExpectations,
  type JwtFlaw,
  MAX_JWT_BYTES,
} from "./jwt-claims.ts";
import type { LoginMethod } from "./login-method.ts";
import { readSecretFile } from "./secret-file.ts";

export interface JwtSource {
  /** Its name in messages: "the JWT of auth.jwt.jwtFile". */
  readonly what: string;
  /** What an operator does to get a better one. */
  readonly fix: string;
  /** Whether it is stored between logins; the other sources make one for each login. */
  readonly isStored: boolean;
  /** Gets a JWT anew, compact form without blanks around it. */
  readonly get: (signal: AbortSignal) => Promise<Secret>;
}

/** How asking a token source ended. Called once for each call; `error` is absent when it succeeded. */
export type CredentialObserver = (
  operation: "oauth2_token" | "spiffe_fetch",
  durationMs: number,
  error?: unknown,
) => void;

/** Times what a source does, and reports how it ended. */
export async function observed<T>(
  operation: Parameters<CredentialObserver>[0],
  { clock, observer }: { readonly clock: Clock; readonly observer?: CredentialObserver },
  work: () => Promise<T>,
): Promise<T> {
  const startedMs = clock.monotonicMs();
  const report = (error?: unknown): void => observer?.(operation, clock.monotonicMs() - startedMs, error);
  try {
    const result = await work();
    report();
    return result;
  } catch (error) {
    report(error);
    throw error;
  }
}

/** Source `file` of auth.jwt: a file that something else keeps fresh. */
export function jwtFileSource(path: string, serviceUid: number): JwtSource {
  const field = "auth.jwt.jwtFile";
  return {
    what: `${field}: the JWT in ${path}`,
    fix: `have a fresh JWT written to ${path}`,
    isStored: true,
    get: () => readSecretFile(path, { field, what: "the JWT", maxBytes: MAX_JWT_BYTES, serviceUid }),
  };
}

interface JwtMethodOptions {
  readonly mountPath: string;
  readonly role: string;
  readonly source: JwtSource;
  readonly expected: JwtExpectations;
  readonly clock: Pick<Clock, "wallMs">;
}

/** A subject is a name, and no secret. */
const MAX_SHOWN_SUBJECT = 256;

interface ClaimMeaning extends Meaning<{ readonly expected: JwtExpectations; readonly claims: JwtClaims }> {
  /** The setting that the claim is compared with, which may be what is wrong. */
  readonly setting?: string;
  /** The claim that is compared with the clock. */
  readonly time?: "notBefore" | "issuedAt";
}

const CLOCK = "compare this node's clock with the issuer's: timedatectl";

const MEANINGS: Readonly<Record<ClaimProblem, ClaimMeaning>> = {
  jwt_expired: { errorClass: "auth_expired", problem: "has expired" },
  jwt_expires_soon: {
    errorClass: "auth_expired",
    problem: ({ expected: { minRemainingTtlMs } }) =>
      `is valid for less than auth.jwt.minRemainingTtl (${formatDuration(minRemainingTtlMs)})`,
  },
  jwt_not_yet_valid: {
    errorClass: "auth_failed",
    problem: "is not valid yet (claim nbf)",
    advice: CLOCK,
    time: "notBefore",
  },
  jwt_issued_in_future: {
    errorClass: "auth_failed",
    problem: "was issued in the future (claim iat)",
    advice: CLOCK,
    time: "issuedAt",
  },
  jwt_wrong_issuer: {
    errorClass: "auth_failed",
    problem: "is not from auth.jwt.expectedIssuer (claim iss)",
    setting: "auth.jwt.expectedIssuer",
  },
  jwt_wrong_audience: {
    errorClass: "auth_failed",
    problem: "has none of the audiences in auth.jwt.expectedAudience (claim aud)",
    setting: "auth.jwt.expectedAudience",
  },
  jwt_wrong_subject: {
    errorClass: "auth_failed",
    problem: ({ expected, claims }) => {
      const found =
        claims.subject === undefined
          ? "no subject"
          : `the subject ${JSON.stringify(claims.subject.slice(0, MAX_SHOWN_SUBJECT))}`;
      return `has ${found} (claim sub), and auth.jwt.expectedSubject is ${JSON.stringify(expected.subject)}`;
    },
    setting: "auth.jwt.expectedSubject",
  },
};

function flawText(flaw: JwtFlaw): string {
  return flaw.kind === "claim"
    ? `has a claim ${flaw.claim} that is not ${flaw.expected}`
    : "is not a signed JWT in compact form";
}

export function jwtLoginMethod({ mountPath, role, source, expected, clock }: JwtMethodOptions): LoginMethod {
  const freshJwt = async (signal: AbortSignal) => {
    const jwt = await source.get(signal);
    const decoded = decodeJwtClaims(jwt.expose());
    if (!decoded.ok) {
      throw new AuthError({
        code: "jwt_malformed",
        errorClass: "auth_failed",
        message: `${source.what} ${flawText(decoded.flaw)}`,
        advice: source.fix,
      });
    }
    const { claims } = decoded;
    const code = claimProblem(claims, expected, clock.wallMs());
    if (code !== undefined) {
      const { setting, time } = MEANINGS[code];
      const { errorClass, problem, advice } = meaningFor(MEANINGS[code], { expected, claims });
      const fix = setting === undefined ? source.fix : `${source.fix}, or correct ${setting}`;
      const unit = time !== undefined && isMilliseconds(claims[time]) ? ", which is in milliseconds" : "";
      throw new AuthError({
        code,
        errorClass,
        message: `${source.what} ${problem}${unit}`,
        advice: advice ?? fix,
      });
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
