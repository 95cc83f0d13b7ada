/**
 * @module A clock that moves only when a test says so. The stand-in for base/clock.ts; sleepers wake in the order of their
 * time.
 */
import type { Clock } from "../../src/base/clock.ts";

export interface ManualClock extends Clock {
  /** Moves all three clocks and wakes, one after the other, each sleeper that is due. */
  advance(ms: number): Promise<void>;
  /** Moves all three clocks and wakes no sleeper: for tests of very many steps in which no code sleeps. */
  pass(ms: number): void;
  /** Sets only the wall clock, as an administrator or NTP does. */
  setWall(ms: number): void;
  /** Moves wall and boot time but not monotonic time, as a suspended machine does. */
  suspend(ms: number): void;
  /** Starts the boot clock anew, as a machine that was booted does. */
  reboot(): void;
  readonly sleeping: number;
}

interface Sleeper {
  readonly at: number;
  readonly wake: () => void;
}

export function manualClock(startWallMs = 1_800_000_000_000): ManualClock {
  let wall = startWallMs;
  let monotonic = 1000;
  let boot = 1000;
  let sleepers: Sleeper[] = [];

  /** Lets everything that is already runnable run, however deep its chain of promises. */
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 10; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  };

  return {
    wallMs: () => wall,
    monotonicMs: () => monotonic,
    bootMs: () => boot,
    get sleeping() {
      return sleepers.length;
    },
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) {
          reject(signal.reason);
          return;
        }
        const stop = (): void => {
          sleepers = sleepers.filter((each) => each !== sleeper);
          reject(signal?.reason);
        };
        const sleeper: Sleeper = {
          at: monotonic + Math.max(ms, 0),
          wake: () => {
            signal?.removeEventListener("abort", stop);
            resolve();
          },
        };
        sleepers.push(sleeper);
        signal?.addEventListener("abort", stop, { once: true });
      }),
    advance: async (ms) => {
      const end = monotonic + ms;
      await settle();
      for (;;) {
        const next = sleepers.filter((each) => each.at <= end).sort((a, b) => a.at - b.at)[0];
        if (next === undefined) {
          break;
        }
        const step = Math.max(next.at - monotonic, 0);
        wall += step;
        monotonic += step;
        boot += step;
        sleepers = sleepers.filter((each) => each !== next);
        next.wake();
        await settle();
      }
      const rest = end - monotonic;
      wall += rest;
      monotonic += rest;
      boot += rest;
      await settle();
    },
    pass: (ms) => {
      wall += ms;
      monotonic += ms;
      boot += ms;
    },
    setWall: (ms) => {
      wall = ms;
    },
    reboot: () => {
      boot = 0;
    },
    suspend: (ms) => {
      wall += ms;
      boot += ms;
    },
  };
}
