/** @module One figure of a benchmark, measured several times. It is judged by its median; the spread says how far to trust it. */
export interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** What the project wants of it; absent for figures that are only shown. */
  readonly target?: { readonly atMost: number } | { readonly atLeast: number };
  readonly met?: boolean;
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

export function figure(
  name: string,
  unit: string,
  values: readonly number[],
  target?: Exclude<Figure["target"], undefined>,
): Figure {
  const middle = median(values);
  const base = { name, unit, median: middle, min: Math.min(...values), max: Math.max(...values) };
  if (target === undefined) {
    return base;
  }
  const met = "atMost" in target ? middle <= target.atMost : middle >= target.atLeast;
  return { ...base, target, met };
}

/** How much slower the slowest round was than the fastest, as a part of the median. */
export function spread(each: Figure): number {
  return (each.max - each.min) / each.median;
}

export function figureLine({ name, unit, median: middle, min, max, target, met }: Figure): string {
  const wanted =
    target === undefined
      ? ""
      : "atMost" in target
        ? `at most ${target.atMost}`
        : `at least ${target.atLeast}`;
  const verdict = met === undefined ? "" : met ? "met" : "MISSED";
  return [
    name.padEnd(46),
    `${round(middle)} ${unit}`.padStart(14),
    `(${round(min)} to ${round(max)})`.padEnd(22),
    wanted.padEnd(16),
    verdict,
  ]
    .join("  ")
    .trimEnd();
}

function round(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
