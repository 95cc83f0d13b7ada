/** @module What waits, by its owner: each owner in turn, and of one owner what came first. */

export class FairQueue<Item> {
  /** Owners with items that wait, in the order in which they are served. */
  readonly #lanes = new Map<object, Set<Item>>();

  get isEmpty(): boolean {
    return this.#lanes.size === 0;
  }

  /** Those with items that wait. */
  owners(): Iterable<object> {
    return this.#lanes.keys();
  }

  add(owner: object, item: Item): void {
    const lane = this.#lanes.get(owner);
    if (lane === undefined) {
      this.#lanes.set(owner, new Set([item]));
    } else {
      lane.add(item);
    }
  }

  /** Takes out the first item of the owner whose turn it is, and puts the owner behind the others. */
  take(): Item | undefined {
    for (const [owner, lane] of this.#lanes) {
      this.#lanes.delete(owner);
      const [item] = lane;
      if (item !== undefined) {
        lane.delete(item);
        if (lane.size > 0) {
          this.#lanes.set(owner, lane);
        }
        return item;
      }
    }
    return undefined;
  }

  delete(owner: object, item: Item): void {
    const lane = this.#lanes.get(owner);
    lane?.delete(item);
    if (lane?.size === 0) {
      this.#lanes.delete(owner);
    }
  }

  /** Drops all items of an owner. */
  forget(owner: object): void {
    this.#lanes.delete(owner);
  }

  /** The item of this owner that came last. */
  last(owner: object): Item | undefined {
    return [...(this.#lanes.get(owner) ?? [])].at(-1);
  }
}
