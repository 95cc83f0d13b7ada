import { expect, test } from "bun:test";
import { backoffMs } from "./backoff.ts";

test("the pause doubles up to the longest, however many failures there were", () => {
  expect([1, 2, 3, 4, 5, 2000].map((failures) => backoffMs(500, 3000, failures))).toEqual([
    500, 1000, 2000, 3000, 3000, 3000,
  ]);
});
