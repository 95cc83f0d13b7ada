/** @module The body of one request in one buffer, within its share of the budget. Pieces are copied at once, so that small ones cost only their bytes. */
import type { BodyBudget, BodyShare } from "./body-budget.ts";

export class BodyBuffer {
  readonly #budget: BodyBudget;
  readonly #share: BodyShare;
  readonly #maxBytes: number;
  #buffer: Uint8Array = new Uint8Array(0);
  #length = 0;

  /** @param maxBytes of the whole body. */
  constructor(budget: BodyBudget, share: BodyShare, maxBytes: number) {
    this.#budget = budget;
    this.#share = share;
    this.#maxBytes = maxBytes;
  }

  add(piece: Uint8Array): "added" | "too_large" | "no_room" {
    const length = this.#length + piece.length;
    if (length > this.#maxBytes) {
      return "too_large";
    }
    if (length > this.#buffer.length) {
      // The first piece is the whole body of nearly all requests.
      const capacity = Math.min(Math.max(2 * this.#buffer.length, length), this.#maxBytes);
      if (!this.#budget.grow(this.#share, capacity)) {
        return "no_room";
      }
      const larger = new Uint8Array(capacity);
      larger.set(this.bytes);
      this.#buffer = larger;
    }
    this.#buffer.set(piece, this.#length);
    this.#length = length;
    return "added";
  }

  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }
}
