/**
 * Calls that arrive while others are under way go out together as one request.
 *
 * @module Nothing ever waits for a timer: a call goes at once while fewer than `maxUnderWay` requests are under way, else
 * with the next request. What a batch looks like on the wire is the caller's business (Transit's `batch_input`).
 */
import { abortable } from "../base/single-flight.ts";

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
  /** Calls with the same text under way at the same time share one item; undefined shares nothing. */
  readonly identity?: (input: Input) => string;
  /** Items in one request, 1 or more. */
  readonly maxItems: number;
  /** Requests under way at the same time, 1 or more. */
  readonly maxUnderWay: number;
}

interface Item<Input, Output> {
  readonly input: Input;
  readonly identity: string | undefined;
  readonly outcome: PromiseWithResolvers<Output>;
  /** Callers that still wait; at 0 nobody wants the result. */
  waiting: number;
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

  const settle = (item: Entry, outcome: Outcome<Output>): void => {
    if (item.identity !== undefined && shared.get(item.identity) === item) {
      shared.delete(item.identity);
    }
    if (outcome.ok) {
      item.outcome.resolve(outcome.value);
    } else {
      item.outcome.reject(outcome.error);
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
        await Promise.all(items.filter((item) => item.waiting > 0).map((item) => sendSingly(item, signal)));
      }
      for (const item of items) {
        settle(item, { ok: false, error });
      }
    }
  };

  const pump = (): void => {
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
      void sent.finally(() => {
        underWay -= 1;
        pump();
      });
    }
  };

  /** The last caller of an item has given up: it is not sent, or no longer keeps its request alive. */
  const abandon = (item: Entry, reason: unknown): void => {
    settle(item, { ok: false, error: reason });
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
    const identity = options.identity?.(input);
    const same = identity === undefined ? undefined : shared.get(identity);
    if (same !== undefined) {
      return same;
    }
    const item: Entry = { input, identity, outcome: Promise.withResolvers(), waiting: 0, flight: undefined };
    // All its callers may be gone when it fails; its failure is then nobody's, not an unhandled rejection.
    item.outcome.promise.catch(() => {});
    if (identity !== undefined) {
      shared.set(identity, item);
    }
    queue.push(item);
    return item;
  };

  return async (input, signal) => {
    signal.throwIfAborted();
    const item = enqueue(input);
    item.waiting += 1;
    pump();
    try {
      return await abortable(item.outcome.promise, signal);
    } finally {
      item.waiting -= 1;
      if (item.waiting === 0 && signal.aborted) {
        abandon(item, signal.reason);
      }
    }
  };
}
