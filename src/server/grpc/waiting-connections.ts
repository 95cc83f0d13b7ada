/** @module Connections that wait for a session: first come, first served, and a bounded number in each turn of the event loop. */
import type { Socket } from "node:net";

interface WaitingConnectionsOptions {
  readonly maxWaiting: number;
  /** Connections that are taken before all sockets are read again. */
  readonly perTurn: number;
  /** Whether there is a place, if need be one that a session gives up. */
  readonly makePlace: () => boolean;
  readonly serve: (socket: Socket) => void;
}

export class WaitingConnections {
  readonly #options: WaitingConnectionsOptions;
  readonly #waiting = new Set<Socket>();
  #taken = 0;
  #isClosed = false;

  constructor(options: WaitingConnectionsOptions) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#waiting.size === 0;
  }

  /** Takes a paused connection, or closes it when too many wait. */
  add(socket: Socket): void {
    // Errors of the socket reach the session and end it; this listener keeps them from ending the process.
    socket.on("error", () => {});
    if (this.#isClosed || this.#waiting.size >= this.#options.maxWaiting) {
      socket.destroy();
      return;
    }
    this.#waiting.add(socket);
    socket.once("close", () => this.#waiting.delete(socket));
    this.serve();
  }

  /** Serves as many as there are places for, as far as this turn allows. */
  serve(): void {
    for (const socket of this.#waiting) {
      if (this.#taken === this.#options.perTurn || !this.#options.makePlace()) {
        return;
      }
      this.#waiting.delete(socket);
      this.#countTaken();
      this.#options.serve(socket);
    }
  }

  /** Closes those that wait, and each that is added from now on. */
  close(): void {
    this.#isClosed = true;
    for (const socket of this.#waiting) {
      socket.destroy();
    }
    this.#waiting.clear();
  }

  #countTaken(): void {
    if (this.#taken === 0) {
      setImmediate(() => {
        this.#taken = 0;
        this.serve();
      });
    }
    this.#taken += 1;
  }
}
