/**
 * From `auth` in the configuration to the way in which the provider logs in.
 *
 * @module The one place that knows which method and which source of a credential a configuration chose.
 */
import { jwtFileSource } from "../auth/jwt-file.ts";
import { type JwtSource, jwtLoginMethod } from "../auth/jwt-method.ts";
import type { LoginMethod } from "../auth/login-method.ts";
import type { Clock } from "../base/clock.ts";
import { ProviderError } from "../base/error-class.ts";
import type { ProviderConfig } from "../config/schema.ts";

export interface AuthMethodOptions {
  readonly auth: ProviderConfig["auth"];
  readonly clock: Clock;
  readonly serviceUid: number;
}

export function loginMethodOf({ auth, clock, serviceUid }: AuthMethodOptions): LoginMethod {
  switch (auth.method) {
    case "jwt": {
      const { jwt } = auth;
      return jwtLoginMethod({
        mountPath: jwt.mountPath,
        role: jwt.role,
        source: jwtSourceOf(jwt.credential, serviceUid),
        expected: {
          minRemainingTtlMs: jwt.minRemainingTtl,
          leewayMs: jwt.clockSkewLeeway,
          issuer: jwt.expectedIssuer,
          audience: jwt.expectedAudience,
          subject: jwt.expectedSubject,
        },
        clock,
      });
    }
    case "cert":
    case "approle":
      throw notAvailable(`auth.method: ${auth.method}`);
  }
}

type JwtCredential = Extract<ProviderConfig["auth"], { method: "jwt" }>["jwt"]["credential"];

function jwtSourceOf(credential: JwtCredential, serviceUid: number): JwtSource {
  switch (credential.source) {
    case "file":
      return jwtFileSource(credential.jwtFile, serviceUid);
    case "oauth2":
    case "spiffe":
      throw notAvailable(`auth.jwt.source: ${credential.source}`);
  }
}

function notAvailable(choice: string): ProviderError {
  return new ProviderError({
    code: "not_available",
    errorClass: "config_invalid",
    message: `${choice} is not available in this release`,
  });
}
