/** @module The life of a token, as a state machine. */
import { backoffMs } from "../../base/backoff.ts";
import type { ErrorClass, ProviderError } from "../../base/error-class.ts";
import type { Token } from "./token.ts";

export type SessionState =
  /** No token yet, or the last one ended before there was a next. */
  | { readonly kind: "without"; readonly trouble: Trouble }
  /** A token that calls are made with. */
  | Holding
  /** Shut down; there will be no token any more. */
  | { readonly kind: "closed" };

export interface Holding {
  readonly kind: "holding";
  readonly token: Token;
  /** How its end is put off: by renewal, or by a new login because it cannot be renewed any further. */
  readonly duty: "renew" | "login";
  /** When that is due. */
  readonly dueAtMs: number;
  /** The part of the first lifetime that is kept in reserve. A renewal that grants at most this much is worth nothing. */
  readonly reserveMs: number;
  /** New logins in a row that were asked for because calls were denied, without a call that succeeded between them. */
  readonly denials: number;
  /** A call with this token was denied. */
  readonly suspect: boolean;
  readonly trouble: Trouble;
}

/** Failed attempts in a row. */
interface Trouble {
  readonly failures: number;
  readonly error: ProviderError | undefined;
  /** No attempt before this. */
  readonly notBeforeMs: number;
}

export type SessionEvent =
  | { readonly kind: "logged_in"; readonly token: Token }
  | { readonly kind: "login_failed"; readonly error: ProviderError }
  /** `token` is the same secret with its new end. */
  | { readonly kind: "renewed"; readonly token: Token }
  /** `hopeless`: OpenBao will not renew this token again. */
  | { readonly kind: "renewal_failed"; readonly error: ProviderError; readonly hopeless: boolean }
  /** A call with the token was denied, and a new login is to show whether it is the token's fault. */
  | { readonly kind: "denied" }
  /** A call with the token succeeded. */
  | { readonly kind: "accepted" }
  | { readonly kind: "closed" };

export interface SessionRules {
  /** `auth.loginBeforeTokenExpiry`. */
  readonly loginBeforeExpiryMs: number;
  /** 0 to 1; spreads the nodes of a control plane over time. */
  readonly random: () => number;
}

const NO_TROUBLE: Trouble = { failures: 0, error: undefined, notBeforeMs: 0 };

export const EMPTY_SESSION: SessionState = { kind: "without", trouble: NO_TROUBLE };

/** A token younger than this is not replaced for a denied call: a standby may not know it yet. */
export const YOUNG_MS = 10_000;
/** Waits after a failed attempt: the first and the longest. Waiting is short where asking is cheap for OpenBao. */
const PAUSES_MS = { refused: [5000, 15_000], unavailable: [1000, 5000] } as const;
const SHORTEST_REST_MS = 1000;
/** How much earlier than needed a duty may be due. */
const SPREAD = 1.25;
const LONGEST_DENIAL_PAUSE_MS = 60_000;

const UNAVAILABLE: ReadonlySet<ErrorClass> = new Set([
  "openbao_unavailable",
  "openbao_sealed",
  "openbao_rate_limited",
  "timeout",
  "canceled",
]);

export function nextSessionState(
  state: SessionState,
  event: SessionEvent,
  nowMs: number,
  rules: SessionRules,
): SessionState {
  if (state.kind === "closed" || event.kind === "closed") {
    return { kind: "closed" };
  }
  switch (event.kind) {
    case "logged_in": {
      const { token } = event;
      const reserveMs = Math.min(rules.loginBeforeExpiryMs, (token.expiresAtMs - token.issuedAtMs) / 3);
      return {
        kind: "holding",
        token,
        duty: token.renewable && token.kind === "service" ? "renew" : "login",
        dueAtMs: dueAt(token, reserveMs, nowMs, rules),
        reserveMs,
        denials: state.kind === "holding" ? state.denials + (state.suspect ? 1 : 0) : 0,
        suspect: false,
        trouble: NO_TROUBLE,
      };
    }
    case "login_failed":
      return withTrouble(state, event.error, nowMs, rules);
    case "renewed": {
      if (state.kind !== "holding" || state.token.secret !== event.token.secret) {
        return state;
      }
      const { token } = event;
      // Capped by its maximum TTL: renewing further would succeed right down to zero.
      const capped = token.expiresAtMs - nowMs <= state.reserveMs * SPREAD;
      return {
        ...state,
        token,
        duty: capped || !token.renewable ? "login" : "renew",
        dueAtMs: capped ? nowMs : dueAt(token, state.reserveMs, nowMs, rules),
        trouble: NO_TROUBLE,
      };
    }
    case "renewal_failed": {
      const after = withTrouble(state, event.error, nowMs, rules);
      if (after.kind !== "holding") {
        return after;
      }
      if (event.hopeless) {
        return { ...after, duty: "login", dueAtMs: nowMs, trouble: { ...after.trouble, notBeforeMs: nowMs } };
      }
      const late = after.token.expiresAtMs - nowMs < after.reserveMs / 2;
      return late ? { ...after, duty: "login" } : after;
    }
    case "denied":
      return state.kind === "holding" ? { ...state, suspect: true } : state;
    case "accepted":
      return state.kind === "holding" ? { ...state, denials: 0, suspect: false } : state;
  }
}

/** With the reserve and up to a quarter of it left, but never at once, however short the token lives. */
function dueAt(token: Token, reserveMs: number, nowMs: number, { random }: SessionRules): number {
  const spread = 1 + random() * (SPREAD - 1);
  const rest = Math.min((token.expiresAtMs - nowMs) / 2, SHORTEST_REST_MS);
  return Math.max(token.expiresAtMs - reserveMs * spread, nowMs + rest);
}

function withTrouble(
  state: Exclude<SessionState, { kind: "closed" }>,
  error: ProviderError,
  nowMs: number,
  { random }: SessionRules,
): Exclude<SessionState, { kind: "closed" }> {
  const failures = state.trouble.failures + 1;
  const [first, longest] = PAUSES_MS[UNAVAILABLE.has(error.errorClass) ? "unavailable" : "refused"];
  const token = usableToken(state, nowMs);
  // While the token lives there is always a further attempt before it ends.
  const leftMs = token === undefined ? Number.POSITIVE_INFINITY : token.expiresAtMs - nowMs;
  const pauseMs = Math.min(backoffMs(first, longest, failures), Math.max(leftMs / 3, SHORTEST_REST_MS));
  const trouble: Trouble = { failures, error, notBeforeMs: nowMs + pauseMs * (1 + random() / 4) };
  return token === undefined ? { kind: "without", trouble } : { ...state, trouble };
}

/** The token that calls may be made with now. */
export function usableToken(state: SessionState, nowMs: number): Token | undefined {
  return state.kind === "holding" && nowMs < state.token.expiresAtMs ? state.token : undefined;
}

/** What is to be done next, and when. */
export function nextDuty(
  state: SessionState,
  nowMs: number,
):
  | { readonly duty: "login"; readonly atMs: number }
  | { readonly duty: "renew"; readonly atMs: number; readonly token: Token }
  | undefined {
  if (state.kind === "closed") {
    return undefined;
  }
  const { notBeforeMs } = state.trouble;
  const token = usableToken(state, nowMs);
  if (state.kind === "without" || token === undefined) {
    return { duty: "login", atMs: notBeforeMs };
  }
  const atMs = Math.max(state.dueAtMs, notBeforeMs);
  return state.duty === "login" ? { duty: "login", atMs } : { duty: "renew", atMs, token };
}

/** Whether a token that was denied may be replaced now by a new login. */
export function mayReplace(state: SessionState, nowMs: number): boolean {
  if (state.kind !== "holding") {
    return false;
  }
  const pauseMs = backoffMs(YOUNG_MS, LONGEST_DENIAL_PAUSE_MS, state.denials + 1);
  return nowMs - state.token.issuedAtMs >= pauseMs && nowMs >= state.trouble.notBeforeMs;
}

/** How the session is, for /ready, metrics and logs. */
export type SessionHealth = ReturnType<typeof sessionHealth>;

export function sessionHealth(state: SessionState, nowMs: number, credentialExpiresAtMs: number | undefined) {
  const token = usableToken(state, nowMs);
  const error = state.kind === "closed" ? undefined : state.trouble.error;
  return {
    state: stateName(state, token !== undefined),
    /** Of the token. */
    ttlSeconds: token === undefined ? undefined : Math.floor((token.expiresAtMs - nowMs) / 1000),
    /** End of the credential of the last login, wall clock. */
    credentialExpiresAtMs,
    errorClass: error?.errorClass,
    error,
  };
}

/** `failing`: the token is good, but what should put off its end has failed last time. */
function stateName(state: SessionState, usable: boolean): "starting" | "ok" | "failing" | "lost" | "closed" {
  switch (state.kind) {
    case "closed":
      return "closed";
    case "without":
      return state.trouble.error === undefined ? "starting" : "lost";
    case "holding":
      return !usable ? "lost" : state.trouble.error === undefined ? "ok" : "failing";
  }
}
