import { expect, test } from "bun:test";
import fc from "fast-check";
import { coalesce, type Outcome } from "./coalesce.ts";

/** What the far side does with an input is a function of the input alone, so both clients must see the same. */
function answer(input: number): Outcome<number> {
  return input % 7 === 3
    ? { ok: false, error: new Error(`refused ${input}`) }
    : { ok: true, value: input * 2 };
}

function single(input: number): Promise<number> {
  const outcome = answer(input);
  return outcome.ok ? Promise.resolve(outcome.value) : Promise.reject(outcome.error);
}

async function outcomeOf(call: Promise<number>): Promise<string> {
  try {
    return `value ${await call}`;
  } catch (error) {
    return error instanceof Error ? error.message : "not an error";
  }
}

test("coalesced calls end as the same calls would have ended alone", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat({ max: 40 }), fc.nat({ max: 3 })), { minLength: 1, maxLength: 60 }),
      fc.array(fc.boolean(), { minLength: 1, maxLength: 20 }),
      fc.integer({ min: 1, max: 8 }),
      fc.integer({ min: 1, max: 10 }),
      fc.integer({ min: 1, max: 3 }),
      fc.boolean(),
      fc.boolean(),
      async (arrivals, wholeFailures, maxItems, enoughItems, maxInProgress, shares, endsTurns) => {
        let batches = 0;
        let inProgress = 0;
        let mostInProgress = 0;
        const call = coalesce<number, number>({
          single: async (input) => {
            await Promise.resolve();
            return await single(input);
          },
          batch: async (inputs) => {
            inProgress += 1;
            mostInProgress = Math.max(mostInProgress, inProgress);
            expect(inputs.length).toBeLessThanOrEqual(maxItems);
            await new Promise((resolve) => setImmediate(resolve));
            inProgress -= 1;
            batches += 1;
            if (wholeFailures[batches % wholeFailures.length] === true) {
              throw new RangeError("as a whole");
            }
            return inputs.map(answer);
          },
          retrySingly: (error) => error instanceof RangeError,
          maxItems,
          enoughItems,
          maxInProgress,
          atEndOfTurn: endsTurns ? setImmediate : (send) => send(),
          ...(shares ? { dedupKey: String } : {}),
        });
        const signal = new AbortController().signal;
        const outcomes = await Promise.all(
          arrivals.map(async ([input, turns]) => {
            for (let turn = 0; turn < turns; turn += 1) {
              await new Promise((resolve) => setImmediate(resolve));
            }
            return await outcomeOf(call(input, signal));
          }),
        );
        expect(outcomes).toEqual(await Promise.all(arrivals.map(([input]) => outcomeOf(single(input)))));
        expect(mostInProgress).toBeLessThanOrEqual(maxInProgress);
      },
    ),
    { numRuns: 200 },
  );
});
