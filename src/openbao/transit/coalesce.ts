/** @module Calls that arrive while others are in progress share a request. None waits for a timer. */
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
  readonly maxInProgress: number;
  /** Calls back when what has arrived already has been looked at, without waiting for more: setImmediate. */
  readonly atEndOfTurn: (send: () => void) => void;
}

/** Told once what became of its item. */
type Caller<Output> = (outcome: Outcome<Output>) => void;

interface BatchRequest {
  readonly stop: AbortController;
  /** Items whose result a caller still waits for. */
  wanted: number;
}

/** One input, for one caller or several. */
class Item<Input, Output> {
  readonly input: Input;
  readonly dedupKey: string | undefined;
  request: BatchRequest | undefined;
  #callers: Caller<Output>[] = [];

  constructor(input: Input, dedupKey: string | undefined) {
    this.input = input;
    this.dedupKey = dedupKey;
  }

  /** Whether a caller still waits; otherwise the result is not needed. */
  get isWanted(): boolean {
    return this.#callers.length > 0;
  }

  /** Calls `abandoned` when the last caller has given up. */
  wait(signal: AbortSignal, abandoned: (reason: unknown) => void): Promise<Output> {
    return new Promise((resolve, reject) => {
      const giveUp = (): void => {
        this.#callers = this.#callers.filter((each) => each !== tell);
        reject(signal.reason);
        if (!this.isWanted) {
          abandoned(signal.reason);
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
      this.#callers.push(tell);
      signal.addEventListener("abort", giveUp);
    });
  }

  settle(outcome: Outcome<Output>): void {
    const callers = this.#callers;
    this.#callers = [];
    for (const tell of callers) {
      tell(outcome);
    }
  }
}

/** Which items wait, which are shared, and how many requests are in progress. */
class Coalescer<Input, Output> {
  readonly #options: CoalesceOptions<Input, Output>;
  readonly #shared = new Map<string, Item<Input, Output>>();
  #queue: Item<Input, Output>[] = [];
  #inProgress = 0;
  #isDue = false;

  constructor(options: CoalesceOptions<Input, Output>) {
    this.#options = options;
  }

  call(input: Input, signal: AbortSignal): Promise<Output> {
    if (signal.aborted) {
      return Promise.reject(signal.reason);
    }
    const item = this.#itemOf(input);
    const result = item.wait(signal, (reason) => this.#abandon(item, reason));
    this.#sendSoon();
    return result;
  }

  #itemOf(input: Input): Item<Input, Output> {
    const dedupKey = this.#options.dedupKey?.(input);
    const same = dedupKey === undefined ? undefined : this.#shared.get(dedupKey);
    if (same !== undefined) {
      return same;
    }
    const item = new Item<Input, Output>(input, dedupKey);
    if (dedupKey !== undefined) {
      this.#shared.set(dedupKey, item);
    }
    this.#queue.push(item);
    return item;
  }

  /** From now on a call like it is an item of its own. */
  #unshare(item: Item<Input, Output>): void {
    if (item.dedupKey !== undefined && this.#shared.get(item.dedupKey) === item) {
      this.#shared.delete(item.dedupKey);
    }
  }

  /** The last caller of an item has given up: it is not sent, or no longer keeps its request alive. */
  #abandon(item: Item<Input, Output>, reason: unknown): void {
    this.#unshare(item);
    if (item.request === undefined) {
      this.#queue = this.#queue.filter((each) => each !== item);
      return;
    }
    item.request.wanted -= 1;
    if (item.request.wanted === 0) {
      item.request.stop.abort(reason);
    }
  }

  #settle(item: Item<Input, Output>, outcome: Outcome<Output>): void {
    this.#unshare(item);
    item.settle(outcome);
  }

  /**
   * At once when nothing is in progress or enough wait, else once for all that arrives in this turn. What is queued while no more
   * may be in progress goes when one of those has ended.
   */
  #sendSoon(): void {
    const { enoughItems, maxInProgress, atEndOfTurn } = this.#options;
    if (this.#inProgress === 0 || this.#queue.length >= enoughItems) {
      this.#send();
    } else if (!this.#isDue && this.#inProgress < maxInProgress) {
      this.#isDue = true;
      atEndOfTurn(() => {
        this.#isDue = false;
        this.#send();
      });
    }
  }

  #send(): void {
    const { maxItems, maxInProgress } = this.#options;
    while (this.#inProgress < maxInProgress && this.#queue.length > 0) {
      const items = this.#queue.slice(0, maxItems);
      this.#queue = this.#queue.slice(maxItems);
      const request: BatchRequest = { stop: new AbortController(), wanted: items.length };
      for (const item of items) {
        item.request = request;
      }
      this.#inProgress += 1;
      const requestEnded = (): void => {
        this.#inProgress -= 1;
        // Those that waited for this have waited long enough.
        this.#send();
      };
      const [only] = items;
      const { signal } = request.stop;
      const sent =
        items.length === 1 && only !== undefined
          ? this.#sendSingly(only, signal)
          : this.#sendTogether(items, signal);
      void sent.then(requestEnded, requestEnded);
    }
  }

  async #sendSingly(item: Item<Input, Output>, signal: AbortSignal): Promise<void> {
    try {
      this.#settle(item, { ok: true, value: await this.#options.single(item.input, signal) });
    } catch (error) {
      this.#settle(item, { ok: false, error });
    }
  }

  async #sendTogether(items: readonly Item<Input, Output>[], signal: AbortSignal): Promise<void> {
    try {
      const inputs = items.map((item) => item.input);
      const outcomes = await this.#options.batch(inputs, signal);
      for (const [index, item] of items.entries()) {
        this.#settle(
          item,
          outcomes[index] ?? { ok: false, error: new TypeError("a batch lacks an outcome") },
        );
      }
    } catch (error) {
      if (this.#options.retrySingly(error)) {
        const wanted = items.filter((item) => item.isWanted);
        await Promise.all(wanted.map((item) => this.#sendSingly(item, signal)));
      }
      for (const item of items) {
        this.#settle(item, { ok: false, error });
      }
    }
  }
}

/** Wraps a call so that its concurrent uses are coalesced. Each use keeps its own signal, result and error. */
export function coalesce<Input, Output>(
  options: CoalesceOptions<Input, Output>,
): (input: Input, signal: AbortSignal) => Promise<Output> {
  const coalescer = new Coalescer(options);
  return (input, signal) => coalescer.call(input, signal);
}
