import { expect, test } from "bun:test";
import { clockOutcome } from "./openbao.ts";

test.each<[number, boolean]>([
  [0, false],
  [31_500, false],
  [-31_500, false],
  [31_501, true],
  [-31_501, true],
])(
  "clocks %d ms apart, with a leeway of 30 s and 1.5 s for the Date header: refused %p",
  (skewMs, isRefused) => {
    expect(clockOutcome(skewMs, 30_000).findings?.[0]?.code).toBe(isRefused ? "clock_skew" : undefined);
  },
);
