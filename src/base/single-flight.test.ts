import { expect, test } from "bun:test";
import { abortable, singleFlight } from "./single-flight.ts";

test("callers at the same time share one attempt, a later one starts anew", async () => {
  let runs = 0;
  const gate = Promise.withResolvers<void>();
  const get = singleFlight(async () => {
    runs += 1;
    await gate.promise;
    return runs;
  });
  const both = Promise.all([get(), get()]);
  gate.resolve();
  expect(await both).toEqual([1, 1]);
  expect(await get()).toBe(2);
});

test("one impatient caller leaves the others their attempt", async () => {
  const gate = Promise.withResolvers<string>();
  let stopped = false;
  const get = singleFlight(async (signal) => {
    signal.addEventListener("abort", () => {
      stopped = true;
    });
    return await gate.promise;
  });
  const impatient = new AbortController();
  const first = get(impatient.signal);
  const second = get(new AbortController().signal);
  impatient.abort(new Error("gave up"));
  await expect(first).rejects.toThrow("gave up");
  expect(stopped).toBe(false);
  gate.resolve("done");
  expect(await second).toBe("done");
});

test("when the last caller gives up the attempt is stopped and the next caller gets a new one", async () => {
  let runs = 0;
  const get = singleFlight(async (signal) => {
    runs += 1;
    if (runs === 2) {
      return "second";
    }
    return await abortable(new Promise<string>(() => {}), signal);
  });
  const stop = new AbortController();
  const first = get(stop.signal);
  stop.abort(new Error("gave up"));
  await expect(first).rejects.toThrow("gave up");
  expect(await get()).toBe("second");
});

test("a failed attempt fails all its callers and is not kept", async () => {
  let runs = 0;
  const get = singleFlight(() => {
    runs += 1;
    return runs === 1 ? Promise.reject(new Error("once")) : Promise.resolve("ok");
  });
  const outcomes = await Promise.allSettled([get(), get()]);
  expect(outcomes.map((each) => each.status)).toEqual(["rejected", "rejected"]);
  expect(await get()).toBe("ok");
});

test("an aborted signal starts nothing", async () => {
  let runs = 0;
  const get = singleFlight(async () => {
    runs += 1;
  });
  await expect(get(AbortSignal.abort(new Error("before")))).rejects.toThrow("before");
  expect(runs).toBe(0);
});

test("an attempt is stopped only by its last caller, and only when that one gives up", async () => {
  const stops: boolean[] = [];
  const gates = [Promise.withResolvers<string>(), Promise.withResolvers<string>()];
  let runs = 0;
  const get = singleFlight((signal) => {
    const run = runs++;
    stops[run] = false;
    signal.addEventListener("abort", () => {
      stops[run] = true;
    });
    return gates[run]?.promise ?? Promise.reject(new Error("too many"));
  });
  const [first, second] = [new AbortController(), new AbortController()];
  const [one, two] = [get(first.signal), get(second.signal)];
  gates[0]?.resolve("done");
  expect(await Promise.all([one, two])).toEqual(["done", "done"]);
  expect(stops[0]).toBe(false);

  const three = get(first.signal);
  first.abort(new Error("gave up"));
  await expect(three).rejects.toThrow("gave up");
  expect(stops[1]).toBe(true);
});

test("a wait ends at once with an aborted signal, and listens no more when it is over", async () => {
  const reason = new Error("before");
  await expect(abortable(new Promise(() => {}), AbortSignal.abort(reason))).rejects.toBe(reason);
  const { signal } = new AbortController();
  let listening = 0;
  const remove = signal.removeEventListener.bind(signal);
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listening -= 1;
    remove(...args);
  };
  expect(await abortable(Promise.resolve(1), signal)).toBe(1);
  await Promise.resolve();
  expect(listening).toBe(-1);
});

test("an attempt that was given up and ends late does not end the next one", async () => {
  const gates = [Promise.withResolvers<string>(), Promise.withResolvers<string>()];
  const reasons: unknown[] = [];
  let runs = 0;
  const get = singleFlight((signal) => {
    signal.addEventListener("abort", () => reasons.push(signal.reason));
    const gate = gates[runs];
    runs += 1;
    return gate === undefined ? Promise.resolve("third") : gate.promise;
  });
  const stop = new AbortController();
  const reason = new Error("gave up");
  const first = get(stop.signal);
  stop.abort(reason);
  await expect(first).rejects.toBe(reason);
  expect(reasons).toEqual([reason]);
  const second = get();
  gates[0]?.resolve("late");
  await gates[0]?.promise;
  await Bun.sleep(0);
  const joined = get();
  gates[1]?.resolve("second");
  expect(await Promise.all([second, joined])).toEqual(["second", "second"]);
  expect(runs).toBe(2);
});

test("an attempt that fails once its only caller is gone is no unhandled failure", async () => {
  const stop = new AbortController();
  const get = singleFlight(() => {
    stop.abort(new Error("gone"));
    return Promise.reject(new Error("failed"));
  });
  await expect(get(stop.signal)).rejects.toThrow("gone");
  await Bun.sleep(0);
});
