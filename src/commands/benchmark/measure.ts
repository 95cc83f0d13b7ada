/** @module Calls timed in turns, so that what disturbs the machine disturbs all alike, and their latencies in numbers. */

export interface TimedCall {
  readonly name: string;
  /** One call; what it throws is counted as a failure. */
  readonly call: (signal: AbortSignal) => Promise<unknown>;
}

export type Measurement = Awaited<ReturnType<typeof measure>>[number];

interface MeasureOptions {
  /** Calls of each of them, all workers together. */
  readonly iterations: number;
  readonly concurrency: number;
  readonly monotonicMs: () => number;
  readonly onRound: (done: number) => void;
}

/** Calls of each of them before anything is measured: connections, caches, compiled code. */
const WARM_UP = 10;

/** @throws the signal's reason when it aborts. */
export async function measure(
  calls: readonly TimedCall[],
  { iterations, concurrency, monotonicMs, onRound }: MeasureOptions,
  signal: AbortSignal,
) {
  for (const { call } of calls) {
    for (let round = 0; round < Math.min(WARM_UP, iterations); round += 1) {
      signal.throwIfAborted();
      await call(signal).catch(() => {});
    }
  }
  const timed = calls.map(({ name, call }) => {
    const samplesMs: number[] = [];
    return { call, result: { name, samplesMs, failures: 0 } };
  });
  let started = 0;
  let done = 0;
  const work = async (): Promise<void> => {
    while (started < iterations) {
      started += 1;
      for (const { call, result } of timed) {
        signal.throwIfAborted();
        const beganMs = monotonicMs();
        try {
          await call(signal);
          result.samplesMs.push(monotonicMs() - beganMs);
        } catch {
          signal.throwIfAborted();
          result.failures += 1;
        }
      }
      done += 1;
      onRound(done);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  return timed.map(({ result }) => result);
}

/** `undefined` when nothing was measured. */
export function statisticsOf(samplesMs: readonly number[]) {
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

/** Two buckets for each doubling, from the fastest to the slowest. */
export function bucketsOf(samplesMs: readonly number[]) {
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
