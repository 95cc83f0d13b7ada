/** @module Callers that ask for the same thing at the same time share one attempt. No result is kept. */
/** At most one call is in progress, under a signal of its own that aborts only when every waiting caller has given up. */
export function singleFlight<T>(
  run: (signal: AbortSignal) => Promise<T>,
): (signal?: AbortSignal) => Promise<T> {
  let flight: { readonly result: Promise<T>; readonly stop: AbortController; waiting: number } | undefined;

  return async (signal) => {
    signal?.throwIfAborted();
    if (flight === undefined) {
      const stop = new AbortController();
      const result = run(stop.signal).finally(() => {
        if (flight?.stop === stop) {
          flight = undefined;
        }
      });
      // Every waiter may be gone when the attempt fails; the failure must not become an unhandled rejection.
      result.catch(() => {});
      flight = { result, stop, waiting: 0 };
    }
    const mine = flight;
    mine.waiting += 1;
    try {
      return await (signal === undefined ? mine.result : abortable(mine.result, signal));
    } finally {
      mine.waiting -= 1;
      if (mine.waiting === 0 && signal?.aborted) {
        if (flight === mine) {
          flight = undefined;
        }
        mine.stop.abort(signal.reason);
      }
    }
  };
}

/** The promise's outcome, or the signal's reason if that comes first. The promise itself is not stopped. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const stop = (): void => reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
