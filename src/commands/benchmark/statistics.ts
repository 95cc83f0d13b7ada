/** @module Latencies in numbers: order statistics and a histogram on a logarithmic scale. Pure. */
export interface Statistics {
  readonly count: number;
  readonly minMs: number;
  readonly meanMs: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** `undefined` when nothing was measured. */
export function statisticsOf(samplesMs: readonly number[]): Statistics | undefined {
  const sorted = Float64Array.from(samplesMs).sort();
  const [first] = sorted;
  if (first === undefined) {
    return undefined;
  }
  /** Nearest rank: the smallest value that at least this share of all are not above. */
  const at = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? first;
  return {
    count: sorted.length,
    minMs: first,
    meanMs: sorted.reduce((sum, each) => sum + each, 0) / sorted.length,
    p50Ms: at(0.5),
    p90Ms: at(0.9),
    p99Ms: at(0.99),
    maxMs: at(1),
  };
}

interface Bucket {
  readonly fromMs: number;
  readonly toMs: number;
  readonly count: number;
}

/** Two buckets for each doubling, from the fastest to the slowest. */
export function bucketsOf(samplesMs: readonly number[]): readonly Bucket[] {
  const counts = new Map<number, number>();
  for (const ms of samplesMs) {
    const step = Math.floor(2 * Math.log2(Math.max(ms, 0.001)));
    counts.set(step, (counts.get(step) ?? 0) + 1);
  }
  const steps = [...counts.keys()];
  if (steps.length === 0) {
    return [];
  }
  const first = Math.min(...steps);
  const length = Math.max(...steps) - first + 1;
  return Array.from({ length }, (_, index) => ({
    fromMs: 2 ** ((first + index) / 2),
    toMs: 2 ** ((first + index + 1) / 2),
    count: counts.get(first + index) ?? 0,
  }));
}
