import { expect, test } from "bun:test";
import { manualClock } from "../../test/fakes/manual-clock.ts";
import type { Output } from "./output.ts";
import { textTable } from "./output.ts";
import { progressBar } from "./progress.ts";

function drawn(canShowProgress = true) {
  const lines: string[] = [];
  const output: Output = {
    result: () => {},
    say: () => {},
    paint: (_, text) => text,
    canShowProgress,
    progress: (line) => lines.push(line),
    flush: async () => {},
    isBroken: () => false,
  };
  const clock = manualClock();
  return { lines, clock, bar: progressBar(output, clock) };
}

test("draws five times a second at most, with what is left", async () => {
  const { lines, clock, bar } = drawn();
  bar("reading", 0, 100);
  await clock.advance(199);
  bar("reading", 1, 100);
  await clock.advance(1);
  bar("reading", 2, 100);
  await clock.advance(1800);
  bar("reading", 50, 100);
  await clock.advance(200);
  bar("reading", 200, 100);
  expect(lines).toEqual([
    `reading [${"·".repeat(30)}] 0 %`,
    `reading [█${"·".repeat(29)}] 2 %`,
    `reading [${"█".repeat(15)}${"·".repeat(15)}] 50 %, 2s left`,
    `reading [${"█".repeat(30)}] 100 %, 0s left`,
  ]);
});

test("a new phase begins its own time; without a total there is only a number", async () => {
  const { lines, clock, bar } = drawn();
  bar("first", 1, 2);
  await clock.advance(10_000);
  bar("second", 5, 10);
  await clock.advance(1000);
  bar("second", 5, 10);
  await clock.advance(1000);
  bar("second", 12_345, 0);
  expect(lines.slice(1)).toEqual([
    `second [${"█".repeat(15)}${"·".repeat(15)}] 50 %, 0s left`,
    `second [${"█".repeat(15)}${"·".repeat(15)}] 50 %, 1s left`,
    "second: 12,345",
  ]);
});

test("nothing is drawn where there is no terminal", () => {
  const { lines, bar } = drawn(false);
  bar("reading", 1, 2);
  expect(lines).toEqual([]);
});

test("columns are as wide as their widest cell, and lines end with text", () => {
  expect(textTable(["a", "bbb"], [["1", "2"], ["333", ""], ["4"]])).toEqual([
    "a    bbb",
    "1    2",
    "333",
    "4",
  ]);
});
