import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { bucketsOf, statisticsOf } from "./statistics.ts";

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
