/**
 * @module How many calls of each method run at the same time; the others wait within their own deadline, first come, first served.
 * A gate per method, so that no method waits for another.
 */
import { KMS_METHODS, type KmsMethod } from "./call-record.ts";
import { KmsError } from "./errors.ts";

export type ConcurrencyCaps = Readonly<Record<KmsMethod, number>>;

/**
 * Calls that may wait. kube-apiserver asks for one seed hundreds of times at once, does not retry a refusal and encrypts one
 * seed at a time. Their memory is a part of MAX_BODIES_BYTES of the server.
 */
export const MAX_WAITING: ConcurrencyCaps = { Status: 0, Encrypt: 256, Decrypt: 1024 };

export interface Turn {
  /** Resolves when the call may run, rejects with the signal's reason; `undefined` when it may run at once. */
  readonly wait: Promise<void> | undefined;
  /** The call is over, or has given up waiting. To be called once. */
  leave(): void;
}

export interface Admission {
  /**
   * @param identity calls with the same one do the same work and count once.
   * @throws KmsError `concurrency_limit` when too many are waiting.
   */
  enter(method: KmsMethod, identity: string | undefined, signal: AbortSignal): Turn;
  /** Calls of all methods that run or wait. */
  readonly inFlight: number;
}

/** @throws RangeError when a cap is not a whole number of at least 1. */
export function admission(caps: ConcurrencyCaps, maxWaiting: ConcurrencyCaps = MAX_WAITING): Admission {
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
    enter: (method, identity, signal) => {
      const gate = gates[method];
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const place = gate.enter(identity, resolve);
      if (place === undefined) {
        throw new KmsError({
          code: "concurrency_limit",
          errorClass: "protocol_limit",
          message: `${gate.calls} calls of ${method} run or wait, which is the maximum`,
          advice: `find out why OpenBao is slow; raise server.maxConcurrent${method} if the load is legitimate`,
        });
      }
      if (!place.isRunning) {
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      }
      return { wait: place.isRunning ? undefined : promise, leave: () => gate.leave(place, resolve) };
    },
    get inFlight() {
      return gates.Status.calls + gates.Encrypt.calls + gates.Decrypt.calls;
    },
  };
}

/** One place, taken by a call or by several identical ones. */
export interface Place {
  readonly identity: string | undefined;
  /** What lets each of its calls run. */
  readonly calls: Set<() => void>;
  isRunning: boolean;
}

/** Which calls of one method run, which wait, and which are refused. */
export class Gate {
  readonly #maxRunning: number;
  readonly #maxWaiting: number;
  readonly #waiting = new Set<Place>();
  readonly #byIdentity = new Map<string, Place>();
  #running = 0;
  #calls = 0;

  /** @param maxWaiting how many calls there may be besides those that run. */
  constructor(maxRunning: number, maxWaiting: number) {
    this.#maxRunning = maxRunning;
    this.#maxWaiting = maxWaiting;
  }

  /** Calls that run or wait. */
  get calls(): number {
    return this.#calls;
  }

  /**
   * Takes a call in; `undefined` when too many are here. Calls with the same identity share a place.
   * @param start the call's own; called when its turn comes, unless it may run at once.
   */
  enter(identity: string | undefined, start: () => void): Place | undefined {
    if (this.#calls >= this.#maxRunning + this.#maxWaiting) {
      return undefined;
    }
    this.#calls += 1;
    const shared = identity === undefined ? undefined : this.#byIdentity.get(identity);
    if (shared !== undefined) {
      shared.calls.add(start);
      return shared;
    }
    const isRunning = this.#running < this.#maxRunning;
    const place: Place = { identity, calls: new Set([start]), isRunning };
    if (isRunning) {
      this.#running += 1;
    } else {
      this.#waiting.add(place);
    }
    if (identity !== undefined) {
      this.#byIdentity.set(identity, place);
    }
    return place;
  }

  /** A call of this place is over: the last one of those that run lets the next place run. */
  leave(place: Place, start: () => void): void {
    this.#calls -= 1;
    place.calls.delete(start);
    if (place.calls.size > 0) {
      return;
    }
    if (place.identity !== undefined) {
      this.#byIdentity.delete(place.identity);
    }
    if (this.#waiting.delete(place)) {
      return;
    }
    this.#running -= 1;
    const [next] = this.#waiting;
    if (next !== undefined) {
      this.#waiting.delete(next);
      next.isRunning = true;
      this.#running += 1;
      for (const each of next.calls) {
        each();
      }
    }
  }
}
