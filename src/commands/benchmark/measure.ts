/** @module Several calls, timed in turns, so that whatever disturbs the machine disturbs all of them alike. */
export interface TimedCall {
  readonly name: string;
  /** One call; what it throws is counted as a failure. */
  readonly call: (signal: AbortSignal) => Promise<void>;
}

export interface Measurement {
  readonly name: string;
  readonly samplesMs: readonly number[];
  readonly failures: number;
}

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
): Promise<readonly Measurement[]> {
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
