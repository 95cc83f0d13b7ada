import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { bucketsOf, measure, statisticsOf } from "./measure.ts";

const never = new AbortController().signal;

function stage() {
  let nowMs = 0;
  const calls = { good: 0, bad: 0 };
  const rounds: number[] = [];
  const good = async (): Promise<void> => {
    calls.good += 1;
    nowMs += 5;
  };
  const bad = async (): Promise<void> => {
    calls.bad += 1;
    throw new Error("refused");
  };
  return {
    calls,
    rounds,
    ways: [
      { name: "good", call: good },
      { name: "bad", call: bad },
    ],
    options: { concurrency: 1, monotonicMs: () => nowMs, onRound: (done: number) => void rounds.push(done) },
  };
}

test.each([
  [3, 3],
  [25, 10],
])("%d calls of each are measured, after %d that are not", async (iterations, warmUp) => {
  const { ways, options, calls, rounds } = stage();
  expect(await measure(ways, { ...options, iterations }, never)).toEqual([
    { name: "good", samplesMs: Array.from({ length: iterations }, () => 5), failures: 0 },
    { name: "bad", samplesMs: [], failures: iterations },
  ]);
  expect(calls).toEqual({ good: warmUp + iterations, bad: warmUp + iterations });
  expect(rounds).toEqual(Array.from({ length: iterations }, (_, n) => n + 1));
});

test("workers share the iterations, and as many calls are open as there are workers", async () => {
  const { options, rounds } = stage();
  let open = 0;
  let most = 0;
  const call = async (): Promise<void> => {
    open += 1;
    most = Math.max(most, open);
    await Promise.resolve();
    open -= 1;
  };
  const [result] = await measure(
    [{ name: "w", call }],
    { ...options, iterations: 10, concurrency: 4 },
    never,
  );
  expect(result?.samplesMs).toHaveLength(10);
  expect(rounds).toHaveLength(10);
  expect(most).toBe(4);
});

test.each([2, 14, 16])("an abort at call %d ends it with its reason, and is no failure", async (last) => {
  const { options } = stage();
  const controller = new AbortController();
  let count = 0;
  const call = async (): Promise<void> => {
    count += 1;
    if (count === last) {
      controller.abort(new Error("stopped"));
      throw new Error("cut");
    }
  };
  const run = measure([{ name: "w", call }], { ...options, iterations: 20 }, controller.signal);
  await expect(run).rejects.toThrow("stopped");
  expect(count).toBe(last);
});

test("percentiles by nearest rank", () => {
  const samples = Array.from({ length: 100 }, (_, index) => 100 - index);
  expect(statisticsOf(samples)).toEqual({
    count: 100,
    minMs: 1,
    meanMs: 50.5,
    p50Ms: 50,
    p90Ms: 90,
    p99Ms: 99,
    maxMs: 100,
  });
  expect(statisticsOf([])).toBeUndefined();
});

test("every sample is in one bucket, and percentiles are in order", () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0.01, max: 10_000, noNaN: true }), { minLength: 1 }), (samples) => {
      const buckets = bucketsOf(samples);
      expect(buckets.reduce((sum, { count }) => sum + count, 0)).toBe(samples.length);
      const { minMs = 0, p50Ms = 0, p90Ms = 0, p99Ms = 0, maxMs = 0 } = statisticsOf(samples) ?? {};
      expect([minMs, p50Ms, p90Ms, p99Ms, maxMs]).toEqual(
        [minMs, p50Ms, p90Ms, p99Ms, maxMs].sort((a, b) => a - b),
      );
    }),
    { numRuns: 100 },
  );
});
