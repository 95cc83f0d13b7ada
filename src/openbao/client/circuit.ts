/** @module Circuit breaker of one address: a dead OpenBao costs its callers microseconds, and one call at a time asks it again. */
import { backoffMs } from "../../base/backoff.ts";
import type { Clock } from "../../base/clock.ts";

export type CircuitState<Cause> =
  /** Calls go through; `failures` of them in a row failed. */
  | { readonly kind: "closed"; readonly failures: number }
  /** No call goes through before `untilMs` of the monotonic clock. */
  | { readonly kind: "open"; readonly untilMs: number; readonly openings: number; readonly cause: Cause }
  /** One call tests whether OpenBao answers again; all others are refused. */
  | { readonly kind: "half_open"; readonly openings: number; readonly cause: Cause };

export type CircuitEvent<Cause> =
  /** A call wants through. */
  | { readonly kind: "ask" }
  /** OpenBao answered; a refusal of the request is an answer too. */
  | { readonly kind: "success" }
  /** It did not answer, or said that it cannot work. `probe`: the call that half-open let through. */
  | {
      readonly kind: "failure";
      readonly probe: boolean;
      readonly cause: Cause;
      readonly pauseMs?: number | undefined;
    }
  /** The caller gave up; nothing is known. */
  | { readonly kind: "abandoned"; readonly probe: boolean };

const WELL = { kind: "closed", failures: 0 } as const;

export const FAILURES_TO_OPEN = 5;
export const FIRST_PAUSE_MS = 500;
export const LONGEST_PAUSE_MS = 5000;

/** What follows from an event at a time. */
export function nextCircuitState<Cause>(
  state: CircuitState<Cause>,
  event: CircuitEvent<Cause>,
  nowMs: number,
): CircuitState<Cause> {
  switch (event.kind) {
    case "ask":
      return state.kind === "open" && nowMs >= state.untilMs
        ? { kind: "half_open", openings: state.openings, cause: state.cause }
        : state;
    case "success":
      return WELL;
    case "abandoned":
      return state.kind === "half_open" && event.probe
        ? { kind: "open", untilMs: nowMs, openings: state.openings, cause: state.cause }
        : state;
    case "failure":
      return afterFailure(state, event, nowMs);
  }
}

function afterFailure<Cause>(
  state: CircuitState<Cause>,
  { probe, cause, pauseMs }: Extract<CircuitEvent<Cause>, { kind: "failure" }>,
  nowMs: number,
): CircuitState<Cause> {
  const open = (openings: number): CircuitState<Cause> => ({
    kind: "open",
    untilMs: nowMs + (pauseMs ?? backoffMs(FIRST_PAUSE_MS, LONGEST_PAUSE_MS, openings)),
    openings,
    cause,
  });
  switch (state.kind) {
    case "closed": {
      const failures = state.failures + 1;
      return failures >= FAILURES_TO_OPEN || pauseMs !== undefined ? open(1) : { kind: "closed", failures };
    }
    case "open":
      // A call from before it opened: it tells nothing new.
      return state;
    case "half_open":
      return probe ? open(Math.min(state.openings + 1, 10)) : state;
  }
}

/** A call that was let through; it ends with exactly one of the three. */
export interface Passage<Cause> {
  readonly succeeded: () => void;
  /** `pauseMs`: how long OpenBao itself asked to be left alone. */
  readonly failed: (cause: Cause, pauseMs?: number) => void;
  readonly abandoned: () => void;
}

/** Owner of one circuit's state. */
export class Circuit<Cause> {
  #state: CircuitState<Cause> = WELL;
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #onChange: (kind: CircuitState<Cause>["kind"]) => void;
  readonly #ordinary = { passage: this.#passageOf(false) };
  readonly #probe = { passage: this.#passageOf(true) };

  constructor(
    clock: Pick<Clock, "monotonicMs">,
    onChange: (kind: CircuitState<Cause>["kind"]) => void = () => {},
  ) {
    this.#clock = clock;
    this.#onChange = onChange;
  }

  get state(): CircuitState<Cause> {
    return this.#state;
  }

  /** Whether {@link enter} would let a call through now. */
  get passable(): boolean {
    const state = this.#state;
    return state.kind === "closed" || (state.kind === "open" && this.#clock.monotonicMs() >= state.untilMs);
  }

  /** Lets a call through, or returns what went wrong before. As a last resort it passes an open circuit, which its success closes. */
  enter(isLastResort = false): { readonly passage: Passage<Cause> } | { readonly refusedFor: Cause } {
    const before = this.#state;
    const isProbe = before.kind !== "closed" && this.passable;
    if (before.kind !== "closed" && !isProbe && !isLastResort) {
      return { refusedFor: before.cause };
    }
    this.#apply({ kind: "ask" });
    return isProbe ? this.#probe : this.#ordinary;
  }

  #passageOf(probe: boolean): Passage<Cause> {
    return {
      succeeded: () => this.#apply({ kind: "success" }),
      failed: (cause, pauseMs) => this.#apply({ kind: "failure", probe, cause, pauseMs }),
      abandoned: () => this.#apply({ kind: "abandoned", probe }),
    };
  }

  #apply(event: CircuitEvent<Cause>): void {
    const before = this.#state;
    this.#state = nextCircuitState(before, event, this.#clock.monotonicMs());
    if (this.#state.kind !== before.kind) {
      this.#onChange(this.#state.kind);
    }
  }
}
