import { describe, expect, test } from "bun:test";
import { ProviderError } from "../base/error-class.ts";
import { admission, MAX_WAITING, type Turn } from "./admission.ts";

const CAPS = { Status: 1, Encrypt: 1, Decrypt: 2 };
const never = new AbortController().signal;

/** The names of the turns that have come, in their order. */
function watch(turns: Readonly<Record<string, Turn>>): string[] {
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
    const enter = (): Turn => gate.enter("Decrypt", undefined, never);
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
    const enter = (identity: string): Turn => gate.enter("Decrypt", identity, never);
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
    const first = gate.enter("Encrypt", undefined, never);
    const stop = new AbortController();
    const second = gate.enter("Encrypt", undefined, stop.signal);
    const third = gate.enter("Encrypt", undefined, never);
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
    const enter = (identity: string): Turn => gate.enter("Encrypt", identity, never);
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
    gate.enter("Encrypt", undefined, never);
    gate.enter("Encrypt", undefined, never).leave();
    expect(gate.enter("Encrypt", undefined, never).wait).toBeDefined();
  });

  test("no method waits for another", () => {
    const gate = admission(CAPS);
    for (let call = 0; call < 10; call += 1) {
      gate.enter("Decrypt", undefined, never);
    }
    expect(gate.enter("Status", undefined, never).wait).toBeUndefined();
    expect(gate.enter("Encrypt", undefined, never).wait).toBeUndefined();
  });
});

test.each(["Status", "Encrypt", "Decrypt"] as const)("%s is refused only above the bound", (method) => {
  const gate = admission(CAPS);
  for (let call = 0; call < CAPS[method] + MAX_WAITING[method]; call += 1) {
    gate.enter(method, undefined, never);
  }
  expect(() => gate.enter(method, undefined, never)).toThrow(ProviderError);
  try {
    gate.enter(method, undefined, never);
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
