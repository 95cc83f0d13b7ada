/** @module The three clocks of Linux and a sleep, as one effect that is passed in. */
import { uptime } from "node:os";
import { setTimeout } from "node:timers/promises";

export interface Clock {
  /** CLOCK_REALTIME in milliseconds since 1970; jumps when the clock is set. */
  wallMs(): number;
  /** CLOCK_MONOTONIC in milliseconds; never jumps, stands still while the machine sleeps. */
  monotonicMs(): number;
  /** CLOCK_BOOTTIME in milliseconds, for lifetimes of remote things: advances while the machine sleeps, never goes back. */
  bootMs(): number;
  /** Resolves after `ms` milliseconds of monotonic time; rejects with the signal's reason as soon as it aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** setTimeout takes at most a signed 32-bit number of milliseconds. */
const MAX_TIMER_MS = 2_147_483_647;

/**
 * The monotonic clock and what it has missed. The kernel's uptime, which counts whole seconds, is at most a second
 * behind, so the largest difference that was seen is the time asleep to within the time between two looks.
 */
function bootClock(): () => number {
  let aheadMs = Number.NEGATIVE_INFINITY;
  return () => {
    const monotonicMs = performance.now();
    aheadMs = Math.max(aheadMs, uptime() * 1000 - monotonicMs);
    return monotonicMs + aheadMs;
  };
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  bootMs: bootClock(),
  sleep: (ms, signal) =>
    setTimeout(Math.min(Math.max(ms, 0), MAX_TIMER_MS), undefined, signal && { signal }).catch(() => {
      throw signal?.reason;
    }),
};
