/**
 * Which calls of one method run, which wait, and which are refused.
 *
 * @module A pure state machine: first come, first served, and identical calls take one place together. admission.ts waits.
 */

/** One place, taken by a call or by several identical ones. */
export interface Place {
  readonly identity: string | undefined;
  calls: number;
  isRunning: boolean;
}

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

  /** Takes a call in; `undefined` when too many are here. Calls with the same identity do the same work and share a place. */
  enter(identity: string | undefined): Place | undefined {
    if (this.#calls >= this.#maxRunning + this.#maxWaiting) {
      return undefined;
    }
    this.#calls += 1;
    const shared = identity === undefined ? undefined : this.#byIdentity.get(identity);
    if (shared !== undefined) {
      shared.calls += 1;
      return shared;
    }
    const isRunning = this.#running < this.#maxRunning;
    const place: Place = { identity, calls: 1, isRunning };
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

  /** A call of this place is over. @returns the place that runs in its stead, if one does. */
  leave(place: Place): Place | undefined {
    this.#calls -= 1;
    place.calls -= 1;
    if (place.calls > 0) {
      return undefined;
    }
    if (place.identity !== undefined) {
      this.#byIdentity.delete(place.identity);
    }
    if (this.#waiting.delete(place)) {
      return undefined;
    }
    this.#running -= 1;
    const [next] = this.#waiting;
    if (next !== undefined) {
      this.#waiting.delete(next);
      next.isRunning = true;
      this.#running += 1;
    }
    return next;
  }
}
