/** @module Waiting for something outside to become true. A bounded poll; the last failure is part of what a timeout says. */
export interface WaitOptions {
  readonly timeoutMs: number;
  readonly everyMs?: number;
  /** Ends the wait at once, for example because the process has died. */
  readonly giveUp?: () => string | undefined;
}

/** Calls `probe` until it returns something else than `undefined` and `false`, and returns that. */
export async function eventually<T>(
  what: string,
  probe: () => Promise<T | false | undefined> | T | false | undefined,
  { timeoutMs, everyMs = 50, giveUp }: WaitOptions,
): Promise<T> {
  const end = performance.now() + timeoutMs;
  let last = "";
  for (;;) {
    try {
      const value = await probe();
      if (value !== undefined && value !== false) {
        return value;
      }
    } catch (error) {
      last = error instanceof Error ? error.message : String(error);
    }
    const reason = giveUp?.();
    if (reason !== undefined) {
      throw new Error(`${what}: ${reason}`);
    }
    if (performance.now() >= end) {
      throw new Error(`${what}: not within ${timeoutMs} ms${last === "" ? "" : `; last: ${last}`}`);
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
