import { expect, test } from "bun:test";
import { DeadlineError, stopReason, withDeadline } from "./deadline.ts";

const aborted = (signal: AbortSignal): Promise<unknown> =>
  new Promise((resolve) => signal.addEventListener("abort", () => resolve(signal.reason), { once: true }));

test("time that is up is a timeout", async () => {
  using deadline = withDeadline(undefined, 5);
  expect(await aborted(deadline.signal)).toBeInstanceOf(DeadlineError);
  expect(stopReason(deadline.signal)).toBe("timeout");
});

test("a parent that gives up is a cancellation, with its own reason", async () => {
  const parent = new AbortController();
  using deadline = withDeadline(parent.signal, 10_000);
  const reason = new Error("gone");
  const seen = aborted(deadline.signal);
  parent.abort(reason);
  expect(await seen).toBe(reason);
  expect(stopReason(deadline.signal)).toBe("canceled");
});

test("a parent whose own time is up is a timeout, however deep", async () => {
  using outer = withDeadline(undefined, 5);
  using inner = withDeadline(outer.signal, 10_000);
  await aborted(inner.signal);
  expect(stopReason(inner.signal)).toBe("timeout");
  expect(stopReason(AbortSignal.abort(new DOMException("late", "TimeoutError")))).toBe("timeout");
});

test("a parent that has already given up aborts at once", () => {
  using deadline = withDeadline(AbortSignal.abort(), 10_000);
  expect(deadline.signal.aborted).toBe(true);
});

test("after disposal nothing aborts any more", async () => {
  const parent = new AbortController();
  const deadline = withDeadline(parent.signal, 2);
  deadline[Symbol.dispose]();
  parent.abort();
  await Bun.sleep(10);
  expect(deadline.signal.aborted).toBe(false);
});

test("a parent that has given up passes its reason on; a negative time is up at once", async () => {
  const reason = new Error("gone");
  using early = withDeadline(AbortSignal.abort(reason), 10_000);
  expect(early.signal.reason).toBe(reason);
  expect(stopReason(early.signal)).toBe("canceled");
  using late = withDeadline(undefined, -1);
  expect(await aborted(late.signal)).toBeInstanceOf(DeadlineError);
  expect(stopReason(AbortSignal.abort("TimeoutError"))).toBe("canceled");
});

test("a disposed deadline leaves no timer that keeps the process alive", async () => {
  const script = `
    import { withDeadline } from ${JSON.stringify(`${import.meta.dir}/deadline.ts`)};
    using deadline = withDeadline(undefined, 60_000);`;
  const child = Bun.spawn([process.execPath, "-e", script], { env: {}, timeout: 20_000 });
  expect(await child.exited).toBe(0);
});
