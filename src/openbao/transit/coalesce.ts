/**
 * @module Calls that arrive while others are in progress share a request. No call waits for a timer: it goes at once when it is
 * alone, at the end of the turn in which it arrived, or with the next request when enough requests are in progress.
 */
/** What became of one item of a batch: its own result, or its own error. */
export type Outcome<Output> =
  | { readonly ok: true; readonly value: Output }
  | { readonly ok: false; readonly error: unknown };

export interface CoalesceOptions<Input, Output> {
  readonly single: (input: Input, signal: AbortSignal) => Promise<Output>;
  /** As many outcomes as inputs, in their order; rejects only when the request as a whole has failed. */
  readonly batch: (inputs: readonly Input[], signal: AbortSignal) => Promise<readonly Outcome<Output>[]>;
  /** Whether a batch that failed as a whole is worth trying item by item: one item may have spoilt it for all. */
  readonly retrySingly: (error: unknown) => boolean;
  /** Calls with the same text in progress at the same time share one item; undefined shares nothing. */
  readonly dedupKey?: (input: Input) => string;
  /** Items in one request, 1 or more. */
  readonly maxItems: number;
  /** With so many items a request does not wait for the end of the turn, so that the far side works while more arrive. */
  readonly enoughItems: number;
  /** Requests in progress at the same time, 1 or more. */
  readonly maxUnderWay: number;
  /** Calls back when what has arrived already has been looked at, without waiting for more: setImmediate. */
  readonly atEndOfTurn: (send: () => void) => void;
}

/** Told once what became of its item. */
type Caller<Output> = (outcome: Outcome<Output>) => void;

interface Item<Input, Output> {
  readonly input: Input;
  readonly dedupKey: string | undefined;
  /** Those that still wait; when there are none, the result is not needed. */
  callers: Caller<Output>[];
  flight: Flight | undefined;
}

interface Flight {
  readonly stop: AbortController;
  wanted: number;
}

/** Wraps a call so that its concurrent uses are coalesced. Each use keeps its own signal, result and error. */
export function coalesce<Input, Output>(
  options: CoalesceOptions<Input, Output>,
): (input: Input, signal: AbortSignal) => Promise<Output> {
  type Entry = Item<Input, Output>;
  const shared = new Map<string, Entry>();
  let queue: Entry[] = [];
  let underWay = 0;
  let isDue = false;

  /** From now on a call like it is an item of its own. */
  const unshare = (item: Entry): void => {
    if (item.dedupKey !== undefined && shared.get(item.dedupKey) === item) {
      shared.delete(item.dedupKey);
    }
  };

  const settle = (item: Entry, outcome: Outcome<Output>): void => {
    unshare(item);
    const { callers } = item;
    item.callers = [];
    for (const tell of callers) {
      tell(outcome);
    }
  };

  const sendSingly = async (item: Entry, signal: AbortSignal): Promise<void> => {
    try {
      settle(item, { ok: true, value: await options.single(item.input, signal) });
    } catch (error) {
      settle(item, { ok: false, error });
    }
  };

  const sendTogether = async (items: readonly Entry[], signal: AbortSignal): Promise<void> => {
    try {
      const outcomes = await options.batch(
        items.map((item) => item.input),
        signal,
      );
      for (const [index, item] of items.entries()) {
        settle(item, outcomes[index] ?? { ok: false, error: new TypeError("a batch lacks an outcome") });
      }
    } catch (error) {
      if (options.retrySingly(error)) {
        await Promise.all(
          items.filter((item) => item.callers.length > 0).map((item) => sendSingly(item, signal)),
        );
      }
      for (const item of items) {
        settle(item, { ok: false, error });
      }
    }
  };

  const send = (): void => {
    while (underWay < options.maxUnderWay && queue.length > 0) {
      const items = queue.slice(0, options.maxItems);
      queue = queue.slice(options.maxItems);
      const flight: Flight = { stop: new AbortController(), wanted: items.length };
      for (const item of items) {
        item.flight = flight;
      }
      underWay += 1;
      const [only] = items;
      const sent =
        items.length === 1 && only !== undefined
          ? sendSingly(only, flight.stop.signal)
          : sendTogether(items, flight.stop.signal);
      void sent.then(landed, landed);
    }
  };

  const landed = (): void => {
    underWay -= 1;
    // Those that waited for this have waited long enough.
    send();
  };

  /**
   * At once when nothing is in progress or enough wait, else once for all that arrives in this turn. What is queued while no more
   * may be in progress goes when one of those has ended.
   */
  const sendSoon = (): void => {
    if (underWay === 0 || queue.length >= options.enoughItems) {
      send();
    } else if (!isDue && underWay < options.maxUnderWay) {
      isDue = true;
      options.atEndOfTurn(() => {
        isDue = false;
        send();
      });
    }
  };

  /** The last caller of an item has given up: it is not sent, or no longer keeps its request alive. */
  const abandon = (item: Entry, reason: unknown): void => {
    unshare(item);
    if (item.flight === undefined) {
      queue = queue.filter((each) => each !== item);
      return;
    }
    item.flight.wanted -= 1;
    if (item.flight.wanted === 0) {
      item.flight.stop.abort(reason);
    }
  };

  const enqueue = (input: Input): Entry => {
    const dedupKey = options.dedupKey?.(input);
    const same = dedupKey === undefined ? undefined : shared.get(dedupKey);
    if (same !== undefined) {
      return same;
    }
    const item: Entry = { input, dedupKey, callers: [], flight: undefined };
    if (dedupKey !== undefined) {
      shared.set(dedupKey, item);
    }
    queue.push(item);
    return item;
  };

  return (input, signal) =>
    new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const item = enqueue(input);
      const giveUp = (): void => {
        item.callers = item.callers.filter((each) => each !== tell);
        reject(signal.reason);
        if (item.callers.length === 0) {
          abandon(item, signal.reason);
        }
      };
      const tell: Caller<Output> = (outcome) => {
        signal.removeEventListener("abort", giveUp);
        if (outcome.ok) {
          resolve(outcome.value);
        } else {
          reject(outcome.error);
        }
      };
      item.callers.push(tell);
      signal.addEventListener("abort", giveUp);
      sendSoon();
    });
}
