import { expect, test } from "bun:test";
import fc from "fast-check";
import { formatDuration, parseDurationMs } from "./duration.ts";

test("what is printed is read back", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 10 * 365 * 24 * 3_600_000 }), (ms) => {
      expect(parseDurationMs(formatDuration(ms))).toBeCloseTo(ms, 3);
    }),
  );
});

test("no text makes it throw, or return what is not a duration", () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), fc.stringMatching(/^[0-9.]{0,6}[a-zµμ]{0,3}[0-9]{0,3}[hms]?$/)),
      (text) => {
        const ms = parseDurationMs(text);
        expect(ms === undefined || (Number.isFinite(ms) && ms >= 0)).toBe(true);
      },
    ),
  );
});

test.each([
  ["500ms", 500],
  ["2s", 2000],
  ["1h30m", 5_400_000],
  ["1.5h", 5_400_000],
  ["0", 0],
  ["0s", 0],
  [".5s", 500],
  ["1us", 0.001],
] as const)("%s is %d ms", (text, ms) => {
  expect(parseDurationMs(text)).toBeCloseTo(ms, 6);
});

test.each([
  "",
  "5",
  "-1s",
  "+1s",
  "1 s",
  "s",
  "1d",
  "1e3s",
  "1h30",
  "0x1s",
  "1s ",
  "999999999999h",
  "1".repeat(65),
])("%p is not a duration", (text) => {
  expect(parseDurationMs(text)).toBeUndefined();
});

test.each([
  [0, "0s"],
  [0.4, "0s"],
  [1, "1ms"],
  [999, "999ms"],
  [1000, "1s"],
  [1500, "1.5s"],
  [59_999, "59.999s"],
  [60_000, "1m"],
  [90_000, "1m30s"],
  [3_600_000, "1h"],
  [3_660_000, "1h1m"],
  [3_601_000, "1h1s"],
])("%d ms is %s", (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});

test("a hundred years is the longest, and 64 characters", () => {
  expect(parseDurationMs("876600h")).toBe(100 * 365.25 * 24 * 3_600_000);
  expect(parseDurationMs("876601h")).toBeUndefined();
  expect(parseDurationMs(`${"0".repeat(62)}1s`)).toBe(1000);
  expect(parseDurationMs(`${"0".repeat(63)}1s`)).toBeUndefined();
});
