/** @module Whose call begins next: each session in turn, and a bounded number before all sockets are read again. */
import { FairQueue } from "../../base/fair-queue.ts";

/** Runs something in the next turn of the event loop, after sockets were read. */
type NextTurn = (run: () => void) => void;

export class FairTurns {
  readonly #callsPerTurn: number;
  readonly #nextTurn: NextTurn;
  readonly #waiting = new FairQueue<() => void>();
  #begun = 0;
  #isScheduled = false;

  constructor(callsPerTurn: number, nextTurn: NextTurn) {
    this.#callsPerTurn = callsPerTurn;
    this.#nextTurn = nextTurn;
  }

  /** Begins a call: at once when there is room in this turn, else when it is its session's turn. */
  begin(session: object, call: () => void): void {
    if (this.#begun < this.#callsPerTurn && this.#waiting.isEmpty) {
      this.#run(call);
    } else {
      this.#waiting.add(session, call);
      this.#schedule();
    }
  }

  /** The session is over; its calls that wait never begin. */
  forget(session: object): void {
    this.#waiting.forget(session);
  }

  #run(call: () => void): void {
    this.#begun += 1;
    this.#schedule();
    call();
  }

  #schedule(): void {
    if (!this.#isScheduled) {
      this.#isScheduled = true;
      this.#nextTurn(() => this.#turn());
    }
  }

  #turn(): void {
    this.#isScheduled = false;
    this.#begun = 0;
    while (this.#begun < this.#callsPerTurn) {
      const call = this.#waiting.take();
      if (call === undefined) {
        return;
      }
      this.#run(call);
    }
  }
}
