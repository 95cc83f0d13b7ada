import { expect, test } from "bun:test";
import { systemClock } from "./clock.ts";

test("boot time goes on with the monotonic clock, not in whole seconds", async () => {
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
