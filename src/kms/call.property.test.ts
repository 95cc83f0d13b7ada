import { expect, test } from "bun:test";
import { Code, ConnectError } from "@connectrpc/connect";
import fc from "fast-check";
import { manualClock } from "../../test/fakes/manual-clock.ts";
import { ProviderError } from "../base/error-class.ts";
import { admission } from "./admission.ts";
import { callRunner } from "./call.ts";
import { type CallRecord, KMS_METHODS, type KmsMethod } from "./ports.ts";

type Outcome = "answers" | "refuses" | "throws" | "rejects with nothing" | "deadline" | "gone";

const OUTCOMES: readonly Outcome[] = [
  "answers",
  "refuses",
  "throws",
  "rejects with nothing",
  "deadline",
  "gone",
];

const EXPECTED: Readonly<Record<Outcome, string>> = {
  answers: "OK",
  refuses: "UNAVAILABLE",
  throws: "INTERNAL",
  "rejects with nothing": "INTERNAL",
  deadline: "DEADLINE_EXCEEDED",
  gone: "CANCELLED",
};

const SECRET = "s3cret-in-an-error";

/** A body of a method that ends as told, when told. */
function bodyOf(outcome: Outcome, go: Promise<void>, stop: AbortController): () => Promise<string> {
  return async () => {
    await go;
    switch (outcome) {
      case "answers":
        return "answer";
      case "refuses":
        throw new ProviderError({ code: "any", errorClass: "openbao_sealed", message: SECRET });
      case "throws":
        throw new TypeError(SECRET);
      case "rejects with nothing":
        return await Promise.reject(undefined);
      case "deadline":
        stop.abort(new ConnectError(SECRET, Code.DeadlineExceeded));
        throw new ProviderError({ code: "any", errorClass: "openbao_unavailable", message: SECRET });
      case "gone":
        stop.abort();
        throw new Error(SECRET);
    }
  };
}

test("every call is recorded once, let in or turned away, and leaves with a constant text", async () => {
  const call = fc.record({ method: fc.constantFrom(...KMS_METHODS), outcome: fc.constantFrom(...OUTCOMES) });
  await fc.assert(
    fc.asyncProperty(
      fc.array(call, { maxLength: 20 }),
      fc.integer({ min: 1, max: 4 }),
      async (calls, cap) => {
        const gate = admission({ Status: cap, Encrypt: cap, Decrypt: cap });
        const started: KmsMethod[] = [];
        const records: CallRecord[] = [];
        const run = callRunner({
          admission: gate,
          clock: manualClock(),
          observer: { started: (method) => started.push(method), ended: (record) => records.push(record) },
        });
        const go = Promise.withResolvers<void>();
        const results = calls.map(({ method, outcome }) => {
          const stop = new AbortController();
          return run(method, "uid", { signal: stop.signal }, bodyOf(outcome, go.promise, stop));
        });
        const turnedAway = records.length;
        expect(gate.inFlight).toBe(started.length);
        go.resolve();
        const settled = await Promise.allSettled(results);

        expect(gate.inFlight).toBe(0);
        expect(records).toHaveLength(calls.length);
        expect(started).toHaveLength(calls.length - turnedAway);
        const seen: Record<KmsMethod, number> = { Status: 0, Encrypt: 0, Decrypt: 0 };
        const expected = calls.map(({ method, outcome }) => {
          seen[method] += 1;
          return seen[method] > cap ? "RESOURCE_EXHAUSTED" : EXPECTED[outcome];
        });
        expect(records.map((record) => record.status).sort()).toEqual([...expected].sort());
        for (const result of settled) {
          if (result.status === "rejected") {
            expect(result.reason).toBeInstanceOf(ConnectError);
            expect(String(result.reason)).not.toContain(SECRET);
          }
        }
      },
    ),
    { numRuns: 60 },
  );
});

test.each([[0], [-1], [1.5], [Number.NaN]])("a cap of %p is refused at construction", (cap) => {
  expect(() => admission({ Status: cap, Encrypt: 1, Decrypt: 1 })).toThrow(RangeError);
});
