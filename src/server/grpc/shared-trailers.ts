/**
 * When trailers go out: those of answers that were given together go together.
 *
 * @module node:http2 writes to the socket each time it has asked a stream for its trailers, so those given on the spot cost a
 * write of ten bytes each and wake the caller as often. Given at the end of the tick they share one write. What does not live
 * here: what is in them (grpc-stream.ts).
 */
export class SharedTrailers {
  /** Since trailers last went. */
  #answers = 0;
  readonly #due: (() => void)[] = [];

  /** An answer was handed to its stream; its trailers become due when its body is written. */
  answered(): void {
    this.#answers += 1;
  }

  /** Sends at once what belongs to an answer that stands alone, all else with the others of this tick. Nothing waits longer. */
  due(send: () => void): void {
    if (this.#answers <= 1 && this.#due.length === 0) {
      this.#answers = 0;
      send();
      return;
    }
    if (this.#due.length === 0) {
      process.nextTick(() => this.#sendAll());
    }
    this.#due.push(send);
  }

  #sendAll(): void {
    this.#answers = 0;
    for (const send of this.#due.splice(0)) {
      send();
    }
  }
}
