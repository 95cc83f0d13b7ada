/** @module Work that is repeated until it is stopped, each time after a pause that can be cut short. */
import type { Clock } from "./clock.ts";

export class Repeater {
  readonly #clock: Clock;
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;
  #pause = { endMs: 0, cut: new AbortController() };

  /** @param work does not throw; its failure would end the repetition. */
  constructor(clock: Clock, pauseMs: () => number, work: () => void | Promise<void>) {
    this.#clock = clock;
    this.#ended = this.#run(pauseMs, work).catch(() => {});
  }

  /** Ends a pause that would last longer; the next one is asked for anew. */
  pauseAtMost(ms: number): void {
    if (this.#pause.endMs > this.#clock.monotonicMs() + ms) {
      this.#pause.cut.abort();
    }
  }

  /** Resolves when work in progress has ended, and none follows. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }

  async #run(pauseMs: () => number, work: () => void | Promise<void>): Promise<void> {
    const stopped = this.#stop.signal;
    while (!stopped.aborted) {
      const ms = pauseMs();
      const cut = new AbortController();
      this.#pause = { endMs: this.#clock.monotonicMs() + ms, cut };
      const pause = this.#clock.sleep(ms, AbortSignal.any([stopped, cut.signal]));
      if (await pause.then(() => true).catch(() => false)) {
        await work();
      }
    }
  }
}
