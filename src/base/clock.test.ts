import { expect, test } from "bun:test";
import { uptime } from "node:os";
import { systemClock } from "./clock.ts";

test("boot time advances with the monotonic clock, not in whole seconds", async () => {
  const steps: number[] = [];
  for (let step = 0; step < 10; step += 1) {
    const [bootMs, monotonicMs] = [systemClock.bootMs(), systemClock.monotonicMs()];
    await systemClock.sleep(5);
    // Only once, when the first whole second passes, does it catch up by less than one.
    steps.push(systemClock.bootMs() - bootMs - (systemClock.monotonicMs() - monotonicMs));
  }
  expect(steps.filter((each) => Math.abs(each) > 1).length).toBeLessThanOrEqual(1);
  expect(Math.min(...steps)).toBeGreaterThan(-1);
});

test("the wall clock is the system's", () => {
  expect(Math.abs(systemClock.wallMs() - Date.now())).toBeLessThan(1000);
});

test("a sleep that is aborted, before or while it lasts, rejects with the signal's reason", async () => {
  const reason = new Error("stop");
  await expect(systemClock.sleep(60_000, AbortSignal.abort(reason))).rejects.toBe(reason);
  const controller = new AbortController();
  const sleep = systemClock.sleep(60_000, controller.signal);
  controller.abort(reason);
  await expect(sleep).rejects.toBe(reason);
});

test("an aborted sleep leaves no timer that keeps the process alive", async () => {
  const script = `
    import { systemClock } from ${JSON.stringify(`${import.meta.dir}/clock.ts`)};
    const controller = new AbortController();
    const sleep = systemClock.sleep(60_000, controller.signal).catch(() => {});
    controller.abort();
    await sleep;`;
  const child = Bun.spawn([process.execPath, "-e", script], { env: {}, timeout: 20_000 });
  expect(await child.exited).toBe(0);
});

test("a sleep that is over listens to its signal no more, and lasts no shorter than no time", async () => {
  let listeners = 0;
  const { signal } = new AbortController();
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners += 1;
    add(...args);
  };
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners -= 1;
    remove(...args);
  };
  await systemClock.sleep(-5, signal);
  expect(listeners).toBe(0);
});

test("the boot clock is that of the machine, to the second", () => {
  expect(Math.abs(systemClock.bootMs() - uptime() * 1000)).toBeLessThan(2000);
});
