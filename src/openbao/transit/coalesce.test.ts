import { describe, expect, test } from "bun:test";
import { type CoalesceOptions, coalesce, type Outcome } from "./coalesce.ts";

interface Request {
  readonly inputs: readonly string[];
  readonly isAlone: boolean;
  readonly signal: AbortSignal;
  readonly answer: (outcomes: readonly Outcome<string>[]) => void;
  readonly fail: (error: Error) => void;
}

/** A far side that answers only when the test says so. */
function manual(change: Partial<CoalesceOptions<string, string>> = {}) {
  const requests: Request[] = [];
  const send = (
    inputs: readonly string[],
    signal: AbortSignal,
    isAlone = false,
  ): Promise<readonly Outcome<string>[]> =>
    new Promise((resolve, reject) => {
      requests.push({ inputs, isAlone, signal, answer: resolve, fail: reject });
    });
  const call = coalesce<string, string>({
    single: async (input, signal) => {
      const [outcome] = await send([input], signal, true);
      return outcome?.ok === true ? outcome.value : await Promise.reject(outcome?.error);
    },
    batch: (inputs, signal) => send(inputs, signal),
    retrySingly: () => false,
    maxItems: 3,
    enoughItems: Number.POSITIVE_INFINITY,
    maxInProgress: 1,
    atEndOfTurn: (sendNow) => sendNow(),
    ...change,
  });
  return { requests, call };
}

const never = new AbortController().signal;
const good = (inputs: readonly string[]): Outcome<string>[] =>
  inputs.map((input) => ({ ok: true, value: input.toUpperCase() }));
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function answerAll(request: Request | undefined): void {
  request?.answer(good(request.inputs));
}

describe("coalesce", () => {
  test.each([
    [
      "the first call goes alone and at once, those that follow go together, bounded",
      Number.POSITIVE_INFINITY,
    ],
    ["enough calls wait all the same while no more may be in progress, and then go as many as fit", 2],
  ])("%s", async (_name, enoughItems) => {
    const { requests, call } = manual({ enoughItems });
    const results = Promise.all(["a", "b", "c", "d", "e"].map((input) => call(input, never)));
    expect(requests.map((request) => request.inputs)).toEqual([["a"]]);
    answerAll(requests[0]);
    await turn();
    expect(requests[1]?.inputs).toEqual(["b", "c", "d"]);
    answerAll(requests[1]);
    await turn();
    expect(requests[2]?.inputs).toEqual(["e"]);
    answerAll(requests[2]);
    expect(await results).toEqual(["A", "B", "C", "D", "E"]);
  });

  /** One that has a request in progress, and may have another. */
  function busy(change: Partial<CoalesceOptions<string, string>> = {}) {
    const made = manual({ maxInProgress: 2, ...change });
    return {
      ...made,
      first: made.call("first", never),
      sent: () => made.requests.map(({ inputs }) => inputs),
    };
  }

  test("calls of one turn go together at its end, a lone one alone", async () => {
    const { requests, call, first, sent } = busy({ atEndOfTurn: setImmediate });
    const results = Promise.all([first, ...["a", "b", "c", "d"].map((input) => call(input, never))]);
    expect(sent()).toEqual([["first"]]);
    await turn();
    expect(sent()).toEqual([["first"], ["a", "b", "c"]]);
    answerAll(requests[1]);
    await turn();
    expect(sent()).toEqual([["first"], ["a", "b", "c"], ["d"]]);
    expect(requests.map(({ isAlone }) => isAlone)).toEqual([true, false, true]);
    answerAll(requests[0]);
    answerAll(requests[2]);
    expect(await results).toEqual(["FIRST", "A", "B", "C", "D"]);
  });

  test("enough calls go before the turn ends, the rest of the turn at its end", async () => {
    const ends: (() => void)[] = [];
    const { requests, call, first, sent } = busy({
      enoughItems: 2,
      maxInProgress: 3,
      atEndOfTurn: (sendNow) => ends.push(sendNow),
    });
    const results = Promise.all([first, ...["a", "b", "c"].map((input) => call(input, never))]);
    expect(sent()).toEqual([["first"], ["a", "b"]]);
    expect(ends.length).toBe(1);
    ends[0]?.();
    expect(sent()).toEqual([["first"], ["a", "b"], ["c"]]);
    requests.forEach(answerAll);
    expect(await results).toEqual(["FIRST", "A", "B", "C"]);
  });

  test("the end of a turn is asked for once, and nothing is sent when all have given up by then", async () => {
    const ends: (() => void)[] = [];
    const { requests, call, first, sent } = busy({ atEndOfTurn: (sendNow) => ends.push(sendNow) });
    const stop = new AbortController();
    const given = Promise.allSettled(["a", "b"].map((input) => call(input, stop.signal)));
    expect(ends.length).toBe(1);
    stop.abort(new Error("gave up"));
    ends[0]?.();
    expect((await given).map((each) => each.status)).toEqual(["rejected", "rejected"]);
    expect(sent()).toEqual([["first"]]);
    const later = call("c", never);
    expect(ends.length).toBe(2);
    ends[1]?.();
    requests.forEach(answerAll);
    expect(await Promise.all([first, later])).toEqual(["FIRST", "C"]);
  });

  test("the end of a turn is not asked for while no more may be in progress, nor twice when a request ends before it", async () => {
    const ends: (() => void)[] = [];
    const { requests, call, first, sent } = busy({ atEndOfTurn: (sendNow) => ends.push(sendNow) });
    const results = [first, call("a", never)];
    answerAll(requests[0]);
    await turn();
    expect(sent()).toEqual([["first"], ["a"]]);
    results.push(call("b", never));
    expect(ends.length).toBe(1);
    ends[0]?.();
    expect(sent()).toEqual([["first"], ["a"], ["b"]]);
    results.push(call("c", never));
    expect(ends.length).toBe(1);
    answerAll(requests[1]);
    await turn();
    expect(sent()).toEqual([["first"], ["a"], ["b"], ["c"]]);
    answerAll(requests[2]);
    answerAll(requests[3]);
    expect(await Promise.all(results)).toEqual(["FIRST", "A", "B", "C"]);
  });

  test("one bad item harms only itself", async () => {
    const { requests, call } = manual();
    const results = Promise.allSettled(["a", "b", "c"].map((input) => call(input, never)));
    answerAll(requests[0]);
    await turn();
    requests[1]?.answer([
      { ok: false, error: new Error("poisoned") },
      { ok: true, value: "C" },
    ]);
    expect((await results).map((each) => each.status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  });

  test("a batch that fails as a whole is tried item by item when that can help", async () => {
    const { requests, call } = manual({ retrySingly: (error) => error instanceof RangeError });
    const results = Promise.allSettled(["a", "b", "c"].map((input) => call(input, never)));
    answerAll(requests[0]);
    await turn();
    requests[1]?.fail(new RangeError("whole"));
    await turn();
    expect(requests.slice(2).map((request) => request.inputs)).toEqual([["b"], ["c"]]);
    requests[2]?.fail(new Error("its own"));
    answerAll(requests[3]);
    expect((await results).map((each) => each.status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  });

  test("a batch that fails as a whole is not tried for callers that have given up", async () => {
    const { requests, call } = manual({ retrySingly: () => true });
    const stop = new AbortController();
    const results = Promise.allSettled([
      call("a", never),
      call("b", stop.signal),
      call("c", never),
      call("d", never),
    ]);
    answerAll(requests[0]);
    await turn();
    stop.abort(new Error("gave up"));
    requests[1]?.fail(new Error("whole"));
    await turn();
    expect(requests.slice(2).map((request) => request.inputs)).toEqual([["c"], ["d"]]);
    answerAll(requests[2]);
    answerAll(requests[3]);
    expect((await results).map((each) => each.status)).toEqual([
      "fulfilled",
      "rejected",
      "fulfilled",
      "fulfilled",
    ]);
  });

  test("callers that give up after their answer stop no request of others", async () => {
    const { requests, call } = manual({ dedupKey: (input) => input, retrySingly: () => true });
    const stop = new AbortController();
    const first = call("a", never);
    const shared = Promise.all([call("b", stop.signal), call("b", stop.signal)]);
    const other = call("c", never);
    answerAll(requests[0]);
    await first;
    await turn();
    requests[1]?.fail(new Error("whole"));
    await turn();
    answerAll(requests[2]);
    expect(await shared).toEqual(["B", "B"]);
    stop.abort(new Error("late"));
    expect(requests[3]?.signal.aborted).toBe(false);
    answerAll(requests[3]);
    expect(await other).toBe("C");
  });

  test("a call whose caller is gone already is not made", async () => {
    const { requests, call } = manual();
    await expect(call("a", AbortSignal.abort(new Error("gone")))).rejects.toThrow("gone");
    expect(requests).toEqual([]);
  });

  test("a call like one that all callers gave up is made anew", async () => {
    const { requests, call } = manual({ dedupKey: (input) => input, maxInProgress: 2 });
    const stop = new AbortController();
    const gone = call("a", stop.signal);
    stop.abort(new Error("gave up"));
    await expect(gone).rejects.toThrow("gave up");
    const next = call("a", never);
    expect(requests.map(({ inputs }) => inputs)).toEqual([["a"], ["a"]]);
    answerAll(requests[1]);
    expect(await next).toBe("A");
  });

  test("a batch that fails as a whole fails all its items when trying again cannot help", async () => {
    const { requests, call } = manual();
    const results = Promise.allSettled(["a", "b", "c"].map((input) => call(input, never)));
    answerAll(requests[0]);
    await turn();
    requests[1]?.fail(new Error("away"));
    expect((await results).map((each) => each.status)).toEqual(["fulfilled", "rejected", "rejected"]);
    expect(requests.length).toBe(2);
  });

  test("identical calls in progress share one item and one answer; a later one is sent anew", async () => {
    const { requests, call } = manual({ dedupKey: (input) => input });
    const results = Promise.all([call("a", never), call("a", never), call("a", never)]);
    expect(requests.length).toBe(1);
    answerAll(requests[0]);
    expect(await results).toEqual(["A", "A", "A"]);
    const later = call("a", never);
    expect(requests.length).toBe(2);
    answerAll(requests[1]);
    expect(await later).toBe("A");
  });

  test("a caller that gives up while it waits is not sent", async () => {
    const { requests, call } = manual();
    const first = call("a", never);
    const stop = new AbortController();
    const second = call("b", stop.signal);
    const third = call("c", never);
    stop.abort(new Error("gave up"));
    await expect(second).rejects.toThrow("gave up");
    answerAll(requests[0]);
    await first;
    await turn();
    expect(requests[1]?.inputs).toEqual(["c"]);
    answerAll(requests[1]);
    expect(await third).toBe("C");
  });

  test("a request is stopped when all its callers have given up, not before", async () => {
    const { requests, call } = manual();
    const first = call("a", never);
    const [stopB, stopC] = [new AbortController(), new AbortController()];
    const second = call("b", stopB.signal);
    const third = call("c", stopC.signal);
    answerAll(requests[0]);
    await first;
    await turn();
    stopB.abort(new Error("b gave up"));
    await expect(second).rejects.toThrow("b gave up");
    expect(requests[1]?.signal.aborted).toBe(false);
    stopC.abort(new Error("c gave up"));
    await expect(third).rejects.toThrow("c gave up");
    expect(requests[1]?.signal.aborted).toBe(true);
  });

  test("a caller that gives up on a shared item leaves it to the others", async () => {
    const { requests, call } = manual({ dedupKey: (input) => input });
    const stop = new AbortController();
    const first = call("a", stop.signal);
    const second = call("a", never);
    stop.abort(new Error("gave up"));
    await expect(first).rejects.toThrow("gave up");
    expect(requests[0]?.signal.aborted).toBe(false);
    answerAll(requests[0]);
    expect(await second).toBe("A");
  });

  test("a reply that lacks outcomes fails the items it leaves out", async () => {
    const { requests, call } = manual();
    const results = Promise.allSettled(["a", "b", "c"].map((input) => call(input, never)));
    answerAll(requests[0]);
    await turn();
    requests[1]?.answer(good(["b"]));
    expect((await results).map((each) => each.status)).toEqual(["fulfilled", "fulfilled", "rejected"]);
  });
});
