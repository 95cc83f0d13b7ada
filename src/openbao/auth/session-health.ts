/** @module How the session is, for /ready, metrics and logs. */
import type { ErrorClass, ProviderError } from "../../base/error-class.ts";
import { type SessionState, usableToken } from "./session-state.ts";

export interface SessionHealth {
  /** `failing`: the token is good, but what should put off its end has failed last time. */
  readonly state: "starting" | "ok" | "failing" | "lost" | "closed";
  /** Of the token. */
  readonly ttlSeconds: number | undefined;
  /** End of the credential of the last login, wall clock. */
  readonly credentialExpiresAtMs: number | undefined;
  readonly errorClass: ErrorClass | undefined;
  readonly error: ProviderError | undefined;
}

export function sessionHealth(
  state: SessionState,
  nowMs: number,
  credentialExpiresAtMs: number | undefined,
): SessionHealth {
  const token = usableToken(state, nowMs);
  const error = state.kind === "closed" ? undefined : state.trouble.error;
  return {
    state: stateName(state, token !== undefined),
    ttlSeconds: token === undefined ? undefined : Math.floor((token.expiresAtMs - nowMs) / 1000),
    credentialExpiresAtMs,
    errorClass: error?.errorClass,
    error,
  };
}

function stateName(state: SessionState, usable: boolean): SessionHealth["state"] {
  switch (state.kind) {
    case "closed":
      return "closed";
    case "without":
      return state.trouble.error === undefined ? "starting" : "lost";
    case "holding":
      return !usable ? "lost" : state.trouble.error === undefined ? "ok" : "failing";
  }
}
