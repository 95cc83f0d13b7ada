/** @module Whether a failed call is made again, where and when. */
import type { LagCodes } from "./attempt.ts";
import type { OpenBaoCode } from "./errors.ts";

export interface Failed {
  readonly code: OpenBaoCode;
  readonly idempotent: boolean;
  readonly lagCodes: LagCodes | undefined;
  /** Retries of this call so far, by cause. */
  readonly retries: Retries;
  /** Whether there is an address that this call has not tried and whose circuit lets calls through. */
  readonly anotherNode: boolean;
  /** Until the call's deadline. */
  readonly remainingMs: number;
}

interface Retries {
  readonly lag: number;
  readonly lostConnection: number;
}

export type NextStep =
  | { readonly kind: "give_up" }
  /** On another address at once. */
  | { readonly kind: "other_node" }
  /** On the same address, on a connection of its own. */
  | { readonly kind: "same_node" }
  /** On any address, on a connection of its own, after a pause. */
  | { readonly kind: "later"; readonly delayMs: number };

/** The request surely had no effect: it never got there, or it was turned away at the door. */
const NEVER_DONE: ReadonlySet<OpenBaoCode> = new Set([
  "circuit_open",
  "dns_failed",
  "connect_refused",
  "connect_failed",
  "redirect_refused",
  "sealed",
  "not_initialized",
  "standby",
]);

/** A request is sent only after the TLS handshake. */
function wasNeverDone(code: OpenBaoCode): boolean {
  return NEVER_DONE.has(code) || code.startsWith("tls_");
}

/** The request may have been done; only one that may be done twice goes to another address. */
const MAYBE_DONE: ReadonlySet<OpenBaoCode> = new Set([
  "timeout",
  "connection_lost",
  "reply_malformed",
  "foreign_answer",
]);

/** Whether the node itself failed, so that the next call starts at another address. */
export function isNodeFailure(code: OpenBaoCode): boolean {
  return wasNeverDone(code) || MAYBE_DONE.has(code);
}

const LAG_DELAYS_MS: readonly number[] = [50, 100, 200, 400, 800];

export function nextStep({
  code,
  idempotent,
  lagCodes,
  retries,
  anotherNode,
  remainingMs,
}: Failed): NextStep {
  if (lagCodes?.has(code) === true || code === "standby_behind") {
    const delayMs = LAG_DELAYS_MS[retries.lag];
    return delayMs !== undefined && delayMs < remainingMs ? { kind: "later", delayMs } : { kind: "give_up" };
  }
  if (remainingMs <= 0) {
    return { kind: "give_up" };
  }
  if (anotherNode && (wasNeverDone(code) || (idempotent && MAYBE_DONE.has(code)))) {
    return { kind: "other_node" };
  }
  return code === "connection_lost" && idempotent && retries.lostConnection === 0
    ? { kind: "same_node" }
    : { kind: "give_up" };
}
