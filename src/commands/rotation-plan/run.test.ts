import { expect, test } from "bun:test";
import type { RotationStep } from "../../key/rotation/plan.ts";
import { watchPlan } from "./run.ts";

const observe: RotationStep = { kind: "observe", version: 2 };
const promote: RotationStep = { kind: "promote", version: 2 };

/** What is printed, the end, and how often it slept. */
async function watched(...steps: readonly (RotationStep | undefined)[]) {
  const printed: string[] = [];
  let index = 0;
  let sleeps = 0;
  const end = await watchPlan(
    async () => {
      const next = steps[index++];
      return { next, line: next?.kind ?? "unknown" };
    },
    (line) => printed.push(line),
    async () => {
      sleeps += 1;
      if (index >= steps.length) {
        throw new Error("looked too often");
      }
    },
  );
  return { end, printed, sleeps };
}

test("a rotation is followed to its end, each change printed once", async () => {
  expect(await watched(undefined, observe, observe, promote, { kind: "none" })).toEqual({
    end: "good",
    printed: ["unknown", "observe", "promote", "none"],
    sleeps: 4,
  });
});

test("with nothing to do it ends at once", async () => {
  expect(await watched({ kind: "none" })).toEqual({ end: "good", printed: ["none"], sleeps: 0 });
});

test("a problem ends it", async () => {
  expect(await watched(observe, { kind: "blocked", by: [] })).toMatchObject({ end: "refused", sleeps: 1 });
});

test("an interruption ends it", async () => {
  const stopped = watchPlan(
    async () => ({ next: observe, line: "" }),
    () => {},
    () => Promise.reject(new Error("interrupted")),
  );
  await expect(stopped).rejects.toThrow("interrupted");
});
