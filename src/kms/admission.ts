/** @module How many calls of each method run at once, which wait and which are refused: each caller in turn, its calls in their order. */
import { FairQueue } from "../base/fair-queue.ts";
import { KMS_METHODS, type KmsMethod } from "./call-record.ts";
import { KmsError } from "./errors.ts";

export type ConcurrencyCaps = Readonly<Record<KmsMethod, number>>;

/**
 * How many calls may wait; identical calls count one by one. kube-apiserver asks for one seed hundreds of times at once, does
 * not retry a refusal and encrypts one seed at a time. Their memory is a part of MAX_BODIES_BYTES of the server.
 */
export const MAX_WAITING: ConcurrencyCaps = { Status: 0, Encrypt: 256, Decrypt: 1024 };

export interface Permit {
  /** Resolves when the call may run; `undefined`: at once. Rejects with the signal's reason, or `concurrency_limit` for a lost place. */
  readonly wait: Promise<void> | undefined;
  /** The call is over, or has given up waiting. To be called once. */
  leave(): void;
}

/** What one caller has here. */
interface Share {
  readonly caller: object;
  waitingCalls: number;
  readonly byDedupKey: Map<string, Place>;
}

/** One place, taken by a call or by several identical ones of one caller. */
export interface Place {
  readonly share: Share;
  readonly dedupKey: string | undefined;
  calls: number;
  state: "waiting" | "running" | "refused";
  /** What becomes of its calls that wait. */
  readonly waiters: { readonly start: () => void; readonly refuse: () => void }[];
}

/** The calls of one method. */
export class Gate {
  readonly #maxRunning: number;
  readonly #maxCalls: number;
  readonly #queue = new FairQueue<Place>();
  readonly #shares = new WeakMap<object, Share>();
  #running = 0;
  #calls = 0;

  /** @param maxWaiting how many calls there may be besides those that run. */
  constructor(maxRunning: number, maxWaiting: number) {
    this.#maxRunning = maxRunning;
    this.#maxCalls = maxRunning + maxWaiting;
  }

  /** Calls that run or wait. */
  get calls(): number {
    return this.#calls;
  }

  /** Takes a call in, which runs or waits as its place does; `undefined` when too many are here. */
  enter(caller: object, dedupKey: string | undefined): Place | undefined {
    if (this.#calls >= this.#maxCalls && !this.#makeRoom(caller)) {
      return undefined;
    }
    const share = this.#shareOf(caller);
    const same = dedupKey === undefined ? undefined : share.byDedupKey.get(dedupKey);
    const place = same ?? this.#newPlace(share, dedupKey);
    this.#count(place, 1);
    return place;
  }

  /** A call of this place is over: the last one of those that run lets the next place run. */
  leave(place: Place): void {
    if (place.state === "refused") {
      return;
    }
    this.#count(place, -1);
    if (place.calls > 0) {
      return;
    }
    this.#forget(place);
    if (place.state === "running") {
      this.#running -= 1;
      const next = this.#queue.take();
      if (next !== undefined) {
        this.#run(next);
      }
    }
  }

  #shareOf(caller: object): Share {
    let share = this.#shares.get(caller);
    if (share === undefined) {
      share = { caller, waitingCalls: 0, byDedupKey: new Map() };
      this.#shares.set(caller, share);
    }
    return share;
  }

  #newPlace(share: Share, dedupKey: string | undefined): Place {
    const place: Place = { share, dedupKey, calls: 0, state: "waiting", waiters: [] };
    if (dedupKey !== undefined) {
      share.byDedupKey.set(dedupKey, place);
    }
    if (this.#running < this.#maxRunning) {
      this.#run(place);
    } else {
      this.#queue.add(share.caller, place);
    }
    return place;
  }

  #run(place: Place): void {
    this.#running += 1;
    place.share.waitingCalls -= place.calls;
    place.state = "running";
    for (const { start } of place.waiters) {
      start();
    }
  }

  /** Refuses the last place of the caller with the most calls that wait, if this one has fewer even with its new call. */
  #makeRoom(caller: object): boolean {
    let most = this.#shareOf(caller).waitingCalls + 1;
    let greediest: object | undefined;
    for (const owner of this.#queue.owners()) {
      const { waitingCalls } = this.#shareOf(owner);
      if (waitingCalls > most) {
        most = waitingCalls;
        greediest = owner;
      }
    }
    const last = greediest === undefined ? undefined : this.#queue.last(greediest);
    if (last === undefined) {
      return false;
    }
    this.#count(last, -last.calls);
    this.#forget(last);
    last.state = "refused";
    for (const { refuse } of last.waiters) {
      refuse();
    }
    return true;
  }

  #count(place: Place, calls: number): void {
    place.calls += calls;
    this.#calls += calls;
    if (place.state === "waiting") {
      place.share.waitingCalls += calls;
    }
  }

  /** Nothing leads to a place without calls. */
  #forget(place: Place): void {
    const { share, dedupKey } = place;
    this.#queue.delete(share.caller, place);
    if (dedupKey !== undefined) {
      share.byDedupKey.delete(dedupKey);
    }
  }
}

export type Admission = ReturnType<typeof admission>;

/** @throws RangeError when a cap is not a whole number of at least 1. */
export function admission(caps: ConcurrencyCaps, maxWaiting: ConcurrencyCaps = MAX_WAITING) {
  for (const method of KMS_METHODS) {
    if (!Number.isInteger(caps[method]) || caps[method] < 1) {
      throw new RangeError(`cap of ${method} must be a whole number of at least 1`);
    }
  }
  const gateOf = (method: KmsMethod): Gate => new Gate(caps[method], maxWaiting[method]);
  const gates: Readonly<Record<KmsMethod, Gate>> = {
    Status: gateOf("Status"),
    Encrypt: gateOf("Encrypt"),
    Decrypt: gateOf("Decrypt"),
  };
  return {
    /**
     * @param caller who is served in turn with the others.
     * @param dedupKey calls of one caller with the same one do the same work and count once.
     * @throws KmsError `concurrency_limit` when too many are waiting.
     */
    enter: (method: KmsMethod, caller: object, dedupKey: string | undefined, signal: AbortSignal): Permit => {
      const gate = gates[method];
      const place = gate.enter(caller, dedupKey);
      if (place === undefined) {
        throw tooMany(method);
      }
      const leave = (): void => gate.leave(place);
      if (place.state === "running") {
        return { wait: undefined, leave };
      }
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      place.waiters.push({ start: resolve, refuse: () => reject(tooMany(method)) });
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      return { wait: promise, leave };
    },
    /** Calls of all methods that run or wait. */
    get inFlight(): number {
      return gates.Status.calls + gates.Encrypt.calls + gates.Decrypt.calls;
    },
  };
}

function tooMany(method: KmsMethod): KmsError {
  return new KmsError({
    code: "concurrency_limit",
    errorClass: "protocol_limit",
    message: `the maximum number of calls of ${method} runs or waits`,
    advice: `find out why OpenBao is slow; raise server.maxConcurrent${method} if the load is legitimate`,
  });
}
