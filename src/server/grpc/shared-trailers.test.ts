import { expect, test } from "bun:test";
import { SharedTrailers } from "./shared-trailers.ts";

const tick = (): Promise<void> => new Promise((resolve) => process.nextTick(resolve));

test("an answer that stands alone has its trailers at once", () => {
  const trailers = new SharedTrailers();
  const sent: string[] = [];
  for (const name of ["a", "b"]) {
    trailers.answered();
    trailers.due(() => sent.push(name));
    expect(sent.at(-1)).toBe(name);
  }
});

test("answers of one tick have their trailers together, after the last of them was due", async () => {
  const trailers = new SharedTrailers();
  const sent: string[] = [];
  for (const _ of ["a", "b", "c"]) {
    trailers.answered();
  }
  for (const name of ["a", "b", "c"]) {
    process.nextTick(() => trailers.due(() => sent.push(name)));
  }
  process.nextTick(() => expect(sent).toEqual([]));
  await tick();
  await tick();
  expect(sent).toEqual(["a", "b", "c"]);
});

test("an answer whose body cannot be written keeps no other back", async () => {
  const trailers = new SharedTrailers();
  const sent: string[] = [];
  trailers.answered();
  trailers.answered();
  trailers.due(() => sent.push("b"));
  await tick();
  expect(sent).toEqual(["b"]);
  trailers.answered();
  trailers.due(() => sent.push("c"));
  trailers.due(() => sent.push("blocked before"));
  await tick();
  expect(sent).toEqual(["b", "c", "blocked before"]);
});
