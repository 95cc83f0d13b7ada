import { expect, test } from "bun:test";
import { Code, ConnectError, createContextValues } from "@connectrpc/connect";
import fc from "fast-check";
import { manualClock } from "../../test/fakes/manual-clock.ts";
import { CALLER } from "../base/caller.ts";
import { ProviderError } from "../base/error-class.ts";
import { admission } from "./admission.ts";
import { callRunner } from "./call.ts";
import { type CallRecord, KMS_METHODS, type KmsMethod } from "./call-record.ts";

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

const contextOf = (signal: AbortSignal, caller: object = {}) => ({
  signal,
  values: createContextValues().set(CALLER, caller),
});

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

test("every call is recorded once, waits or is turned away, and leaves with a constant text", async () => {
  const call = fc.record({ method: fc.constantFrom(...KMS_METHODS), outcome: fc.constantFrom(...OUTCOMES) });
  await fc.assert(
    fc.asyncProperty(
      fc.array(call, { maxLength: 20 }),
      fc.integer({ min: 1, max: 4 }),
      fc.nat({ max: 3 }),
      async (calls, cap, waiting) => {
        const each = (count: number) => ({ Status: count, Encrypt: count, Decrypt: count });
        const gate = admission(each(cap), each(waiting));
        const started: KmsMethod[] = [];
        const records: CallRecord[] = [];
        const clock = manualClock();
        const run = callRunner({
          admission: gate,
          clock,
          observer: { started: (method) => started.push(method), ended: (record) => records.push(record) },
        });
        const go = Promise.withResolvers<void>();
        const results = calls.map(({ method, outcome }) => {
          const stop = new AbortController();
          const body = bodyOf(outcome, go.promise, stop);
          return run(method, "uid", contextOf(stop.signal), async (own) => {
            await own.turn();
            return await body();
          });
        });
        const expected = each(0);
        let held = 0;
        for (const { method } of calls) {
          expected[method] += 1;
          held += expected[method] > cap + waiting ? 0 : 1;
        }
        expect(gate.inFlight).toBe(held);
        expect(started).toEqual(calls.map(({ method }) => method));
        clock.pass(7);
        go.resolve();
        const settled = await Promise.allSettled(results);

        expect(gate.inFlight).toBe(0);
        expect(records).toHaveLength(calls.length);
        const seen = each(0);
        const statuses = calls.map(({ method, outcome }) => {
          seen[method] += 1;
          return seen[method] > cap + waiting ? "RESOURCE_EXHAUSTED" : EXPECTED[outcome];
        });
        expect(records.map((record) => record.status).sort()).toEqual([...statuses].sort());
        for (const method of KMS_METHODS) {
          const waited = records.filter(
            (record) => record.method === method && record.waitedMs !== undefined,
          );
          expect(waited).toHaveLength(Math.min(Math.max(seen[method] - cap, 0), waiting));
          expect(waited.every(({ waitedMs }) => waitedMs === 7)).toBe(true);
        }
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

test("a call that gives up while it waits says how long it waited, and that time was up", async () => {
  const gate = admission({ Status: 1, Encrypt: 1, Decrypt: 1 });
  const records: CallRecord[] = [];
  const clock = manualClock();
  const run = callRunner({
    admission: gate,
    clock,
    observer: { started: () => {}, ended: (record) => records.push(record) },
  });
  const go = Promise.withResolvers<void>();
  const first = run("Decrypt", "", contextOf(new AbortController().signal), async (own) => {
    await own.turn();
    await go.promise;
  });
  const stop = new AbortController();
  let ran = false;
  const second = run("Decrypt", "", contextOf(stop.signal), async (own) => {
    await own.turn();
    ran = true;
  });
  clock.pass(3000);
  stop.abort(new ConnectError("time is up", Code.DeadlineExceeded));
  await expect(second).rejects.toMatchObject({ code: Code.DeadlineExceeded });
  expect(records).toMatchObject([{ status: "DEADLINE_EXCEEDED", waitedMs: 3000 }]);
  go.resolve();
  await first;
  expect([ran, gate.inFlight]).toEqual([false, 0]);
});

test("a call whose caller is gone before it begins does nothing", async () => {
  const records: CallRecord[] = [];
  const run = callRunner({
    admission: admission({ Status: 1, Encrypt: 1, Decrypt: 1 }),
    clock: manualClock(),
    observer: { started: () => {}, ended: (record) => records.push(record) },
  });
  let ran = false;
  const call = run("Encrypt", "", contextOf(AbortSignal.abort()), () => {
    ran = true;
  });
  await expect(call).rejects.toMatchObject({ code: Code.Canceled });
  expect([ran, records.map(({ status }) => status)]).toEqual([false, ["CANCELLED"]]);
});

test.each([
  ["a bug", () => Promise.reject(new TypeError("bug")), undefined, "INTERNAL", true],
  [
    "a refusal",
    () => Promise.reject(new ProviderError({ code: "x", errorClass: "openbao_sealed", message: "x" })),
    undefined,
    "UNAVAILABLE",
    false,
  ],
  ["a deadline", () => Promise.reject(new TypeError("x")), Code.DeadlineExceeded, "DEADLINE_EXCEEDED", false],
  ["another end of the call", () => Promise.reject(new TypeError("x")), Code.Unavailable, "CANCELLED", false],
] as const)("%s is unexpected, or is not", async (_, body, reason, status, unexpected) => {
  const records: CallRecord[] = [];
  const run = callRunner({
    admission: admission({ Status: 1, Encrypt: 1, Decrypt: 1 }),
    clock: manualClock(),
    observer: { started: () => {}, ended: (record) => records.push(record) },
  });
  const stop = new AbortController();
  const call = run("Encrypt", "", contextOf(stop.signal), async () => {
    if (reason !== undefined) {
      stop.abort(new ConnectError("x", reason));
    }
    return await body();
  });
  await expect(call).rejects.toBeInstanceOf(ConnectError);
  expect(records.map((record) => [record.status, record.failure?.unexpected])).toEqual([
    [status, unexpected],
  ]);
});

test("identical calls share a turn when they are of one caller", async () => {
  const gate = admission({ Status: 1, Encrypt: 1, Decrypt: 1 });
  const run = callRunner({
    admission: gate,
    clock: manualClock(),
    observer: { started: () => {}, ended: () => {} },
  });
  const { signal } = new AbortController();
  const caller = {};
  const end = Promise.withResolvers<void>();
  const began: string[] = [];
  const decrypt = (name: string, from: object): Promise<void> =>
    run("Decrypt", "", contextOf(signal, from), async (own) => {
      await own.turn("identity");
      began.push(name);
      await end.promise;
    });
  const calls = [decrypt("first", caller), decrypt("of another", {}), decrypt("again", caller)];
  await new Promise((resolve) => setImmediate(resolve));
  expect(began).toEqual(["first", "again"]);
  end.resolve();
  await Promise.all(calls);
  expect(began).toEqual(["first", "again", "of another"]);
  expect(gate.inFlight).toBe(0);
});
