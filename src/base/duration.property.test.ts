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
