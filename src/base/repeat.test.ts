import { expect, test } from "bun:test";
import { manualClock } from "../../test/fakes/manual-clock.ts";
import { Repeater } from "./repeat.ts";

function repeating(pausesMs: number[]) {
  const clock = manualClock();
  let times = 0;
  const repeater = new Repeater(
    clock,
    () => pausesMs.shift() ?? 1_000_000,
    () => {
      times += 1;
    },
  );
  return { clock, repeater, times: () => times };
}

test("works after each pause, and no more once it is stopped", async () => {
  const { clock, repeater, times } = repeating([10, 20, 30]);
  await clock.advance(9);
  expect(times()).toBe(0);
  await clock.advance(1);
  expect(times()).toBe(1);
  await clock.advance(19);
  expect(times()).toBe(1);
  await clock.advance(1);
  expect(times()).toBe(2);
  await repeater.stop();
  await clock.advance(1000);
  expect(times()).toBe(2);
});

test("a pause that would last longer is cut short without work, a shorter one is not", async () => {
  const { clock, repeater, times } = repeating([100, 5, 100]);
  repeater.pauseAtMost(100);
  await clock.advance(5);
  expect(times()).toBe(0);
  repeater.pauseAtMost(10);
  await clock.advance(0);
  await clock.advance(4);
  expect(times()).toBe(0);
  await clock.advance(1);
  expect(times()).toBe(1);
  await repeater.stop();
});
