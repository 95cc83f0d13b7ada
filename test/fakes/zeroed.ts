/**
 * @module What was in the byte arrays that were overwritten with zeros. For tests that a secret does not stay in memory in a
 * buffer that the code under test owns.
 */
import { spyOn } from "bun:test";

/** Runs `body`; gives the texts, as latin1, of all byte arrays that were filled with zeros meanwhile. */
export async function zeroedDuring(body: () => Promise<unknown>): Promise<readonly string[]> {
  const texts: string[] = [];
  const spy = spyOn(Uint8Array.prototype, "fill").mockImplementation(function (
    this: Uint8Array,
    value: number,
    start = 0,
    end = this.length,
  ) {
    if (value === 0 && start === 0 && end === this.length) {
      texts.push(Buffer.from(this).toString("latin1"));
    }
    for (let at = start; at < end; at += 1) {
      this[at] = value;
    }
    return this;
  });
  try {
    await body();
  } finally {
    spy.mockRestore();
  }
  return texts;
}
