/**
 * @module Whose call begins next: one of each session in turn, and only so many before the event loop reads from all sockets
 * again. Without it all calls of one caller are answered first.
 */

/** Runs something in the next turn of the event loop, after sockets were read. */
export type NextTurn = (run: () => void) => void;

export class FairTurns {
  readonly #callsPerTurn: number;
  readonly #nextTurn: NextTurn;
  /** Sessions with calls that wait, in the order in which they are served. */
  readonly #lanes = new Map<object, (() => void)[]>();
  #begun = 0;
  #isScheduled = false;

  constructor(callsPerTurn: number, nextTurn: NextTurn) {
    this.#callsPerTurn = callsPerTurn;
    this.#nextTurn = nextTurn;
  }

  /** Begins a call: at once when there is room in this turn, else when it is its session's turn. */
  begin(session: object, call: () => void): void {
    if (this.#begun < this.#callsPerTurn && this.#lanes.size === 0) {
      this.#run(call);
      return;
    }
    const lane = this.#lanes.get(session);
    if (lane === undefined) {
      this.#lanes.set(session, [call]);
    } else {
      lane.push(call);
    }
    this.#schedule();
  }

  /** The session is over; its calls that wait never begin. */
  forget(session: object): void {
    this.#lanes.delete(session);
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
    for (const [session, lane] of this.#lanes) {
      if (this.#begun === this.#callsPerTurn) {
        return;
      }
      const call = lane.shift();
      // Behind the others; a session without calls that wait has no lane.
      this.#lanes.delete(session);
      if (lane.length > 0) {
        this.#lanes.set(session, lane);
      }
      if (call !== undefined) {
        this.#run(call);
      }
    }
  }
}
