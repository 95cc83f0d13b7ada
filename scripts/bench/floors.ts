/** @module What the ratios to the direct call were when they were last recorded, and which of them have become worse. */
import type { Figure } from "./figure.ts";

export interface Floor {
  readonly figure: string;
  readonly value: number;
  readonly better: "lower" | "higher";
}

/** The worse of the recorded runs on two cores, so that another machine is not taken for a regression. */
export const FLOORS: readonly Floor[] = [
  { figure: "JIT off: Decrypt at 1: p50 / direct", value: 1.9, better: "lower" },
  { figure: "JIT off: Decrypt at 8: p50 / direct", value: 1.45, better: "lower" },
  { figure: "JIT off: Decrypt at 64: throughput / direct", value: 1.1, better: "higher" },
  { figure: "JIT off: Encrypt at 1: p50 / direct", value: 3.2, better: "lower" },
  { figure: "JIT off: storm of 200 ciphertexts, throughput / direct", value: 1.1, better: "higher" },
];

/** One line for each floor that its figure misses by more than a third, or that has no figure. Shared machines vary by less. */
export function worsened(figures: readonly Figure[], floors: readonly Floor[] = FLOORS): readonly string[] {
  return floors.flatMap(({ figure, value, better }) => {
    const median = figures.find(({ name }) => name === figure)?.median;
    const bound = better === "lower" ? value + value / 3 : value - value / 3;
    const isFine = median !== undefined && (better === "lower" ? median <= bound : median >= bound);
    return isFine
      ? []
      : [`${figure}: ${median?.toFixed(2) ?? "not measured"}, floor ${value}, bound ${bound.toFixed(2)}`];
  });
}
