import { describe, expect, test } from "bun:test";
import { ProviderError } from "../base/error-class.ts";
import { admission, MAX_WAITING, type Permit } from "./admission.ts";

const CAPS = { Status: 1, Encrypt: 1, Decrypt: 2 };
const caller = {};
const other = {};
const never = new AbortController().signal;

/** The names of the turns that have come, in their order. */
function watch(turns: Readonly<Record<string, Permit>>): string[] {
  const came: string[] = [];
  for (const [name, turn] of Object.entries(turns)) {
    void (turn.wait ?? Promise.resolve()).then(
      () => came.push(name),
      () => came.push(`${name} gave up`),
    );
  }
  return came;
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("calls above the cap", () => {
  test("wait in the order of their arrival", async () => {
    const gate = admission(CAPS);
    const enter = (): Permit => gate.enter("Decrypt", caller, undefined, never);
    const turns = { a: enter(), b: enter(), c: enter(), d: enter() };
    const came = watch(turns);
    await settled();
    expect(came).toEqual(["a", "b"]);
    turns.b.leave();
    await settled();
    expect(came).toEqual(["a", "b", "c"]);
    turns.a.leave();
    await settled();
    expect(came).toEqual(["a", "b", "c", "d"]);
    turns.c.leave();
    turns.d.leave();
    expect(gate.inFlight).toBe(0);
  });

  test("count once when they are identical, and come together", async () => {
    const gate = admission(CAPS);
    const enter = (dedupKey: string): Permit => gate.enter("Decrypt", caller, dedupKey, never);
    const turns = { a: enter("1"), b: enter("2"), again: enter("1"), c: enter("3"), sameAsC: enter("3") };
    const came = watch(turns);
    await settled();
    expect(came).toEqual(["a", "b", "again"]);
    turns.a.leave();
    await settled();
    expect(came).toEqual(["a", "b", "again"]);
    turns.again.leave();
    await settled();
    expect(came).toEqual(["a", "b", "again", "c", "sameAsC"]);
  });

  test("give up with their signal, and keep no other caller from a turn", async () => {
    const gate = admission(CAPS);
    const first = gate.enter("Encrypt", caller, undefined, never);
    const stop = new AbortController();
    const second = gate.enter("Encrypt", caller, undefined, stop.signal);
    const third = gate.enter("Encrypt", caller, undefined, never);
    const came = watch({ second, third });
    stop.abort(new Error("deadline"));
    await expect(second.wait ?? Promise.resolve()).rejects.toThrow("deadline");
    second.leave();
    first.leave();
    await settled();
    expect(came).toEqual(["second gave up", "third"]);
    third.leave();
    expect(gate.inFlight).toBe(0);
  });

  test("run at once when they are identical to one that waited and runs now, and not to one that is over", () => {
    const gate = admission(CAPS);
    const enter = (dedupKey: string): Permit => gate.enter("Encrypt", caller, dedupKey, never);
    const first = enter("1");
    const second = enter("2");
    first.leave();
    expect(enter("2").wait).toBeUndefined();
    expect(enter("1").wait).toBeDefined();
    expect(gate.inFlight).toBe(3);
    second.leave();
    expect(gate.inFlight).toBe(2);
  });

  test("leave no room that was not theirs when they give up waiting", () => {
    const gate = admission(CAPS);
    gate.enter("Encrypt", caller, undefined, never);
    gate.enter("Encrypt", caller, undefined, never).leave();
    expect(gate.enter("Encrypt", caller, undefined, never).wait).toBeDefined();
  });

  test("of one caller keep another's waiting for one of them at most", async () => {
    const gate = admission(CAPS);
    const enter = (from: object): Permit => gate.enter("Encrypt", from, undefined, never);
    const running = enter(caller);
    const turns = { a: enter(caller), b: enter(caller), c: enter(caller), others: enter(other) };
    const came = watch(turns);
    for (const turn of [running, turns.a, turns.others, turns.b]) {
      turn.leave();
      await settled();
    }
    expect(came).toEqual(["a", "others", "b", "c"]);
  });

  test("are not identical when they are of two callers", () => {
    const gate = admission(CAPS);
    expect(gate.enter("Encrypt", caller, "1", never).wait).toBeUndefined();
    expect(gate.enter("Encrypt", other, "1", never).wait).toBeDefined();
  });

  test("give up the last place of the caller that has the most, with the error of a full room", async () => {
    const gate = admission(CAPS, { Status: 0, Encrypt: 3, Decrypt: 0 });
    const enter = (from: object): Permit => gate.enter("Encrypt", from, undefined, never);
    enter(caller);
    const [first, second, last] = [enter(caller), enter(caller), enter(caller)];
    const came = watch({ first, second });
    expect(() => enter(caller)).toThrow(ProviderError);
    const others = enter(other);
    const refused = await (last.wait ?? Promise.resolve()).catch((error: unknown) => error);
    expect(refused instanceof ProviderError ? refused.code : refused).toBe("concurrency_limit");
    last.leave();
    expect(gate.inFlight).toBe(4);
    expect(others.wait).toBeDefined();
    // Two of one and one of the other: the room is shared.
    expect(() => enter(other)).toThrow(ProviderError);
    expect(came).toEqual([]);
  });

  test("no method waits for another", () => {
    const gate = admission(CAPS);
    for (let call = 0; call < 10; call += 1) {
      gate.enter("Decrypt", caller, undefined, never);
    }
    expect(gate.enter("Status", caller, undefined, never).wait).toBeUndefined();
    expect(gate.enter("Encrypt", caller, undefined, never).wait).toBeUndefined();
  });
});

test.each(["Status", "Encrypt", "Decrypt"] as const)("%s is refused only above the bound", (method) => {
  const gate = admission(CAPS);
  for (let call = 0; call < CAPS[method] + MAX_WAITING[method]; call += 1) {
    gate.enter(method, caller, undefined, never);
  }
  expect(() => gate.enter(method, caller, undefined, never)).toThrow(ProviderError);
  try {
    gate.enter(method, caller, undefined, never);
  } catch (error) {
    expect(error instanceof ProviderError ? error.code : error).toBe("concurrency_limit");
  }
  expect(gate.inFlight).toBe(CAPS[method] + MAX_WAITING[method]);
});

test.each([[0], [-1], [1.5], [Number.NaN]])("a cap of %p is refused at construction", (cap) => {
  for (const method of ["Status", "Encrypt", "Decrypt"] as const) {
    expect(() => admission({ ...CAPS, [method]: cap })).toThrow(RangeError);
  }
});
