/**
 * The wall clock, and a machine that sleeps.
 *
 * The wall clock of the provider alone is moved (own-machine.ts); OpenBao's stays right.
 */
import { type Fault, FINE, SILENT } from "../fault.ts";
import type { World } from "../world.ts";

const HOUR_S = 3600;
const FIVE_MINUTES_S = 300;
/** The activation delay of the suite's configuration. */
const ACTIVATION_DELAY_MS = 500;

/** Nothing happens when the wall clock moves by each of these in turn. */
const moved = (id: string, title: string, ...seconds: readonly number[]): Fault => ({
  id,
  title,
  ownMachine: true,
  expect: FINE,
  cause: async ({ machine }: World) => {
    for (const each of seconds) {
      machine?.moveClock(each);
      await Bun.sleep(700);
    }
    return () => machine?.moveClock(0);
  },
});

export const clocks: readonly Fault[] = [
  moved("clock-ahead", "Wall clock 5 minutes ahead", FIVE_MINUTES_S),
  moved("clock-behind", "Wall clock 5 minutes behind", -FIVE_MINUTES_S),
  moved("clock-jumps", "Wall clock jumping 5 hours ahead, 5 hours behind, and back", 5 * HOUR_S, -5 * HOUR_S),
  {
    id: "clock-jump-in-rotation",
    title: "Wall clock jumping a day ahead right after a rotation: the promotion takes as long as without",
    ownMachine: true,
    expect: { ...FINE, keyId: "moves" },
    cause: async ({ machine, rotate }) => {
      const promoted = await rotate();
      const began = performance.now();
      machine?.moveClock(24 * HOUR_S);
      await promoted();
      if (performance.now() - began < ACTIVATION_DELAY_MS) {
        throw new Error("the promotion was hastened by the wall clock");
      }
      return () => machine?.moveClock(0);
    },
  },
  {
    id: "machine-asleep",
    title: "Machine asleep: SIGSTOP, the wall clock 3 hours further, SIGCONT",
    ownMachine: true,
    expect: SILENT,
    lastsMs: 30_000,
    cause: ({ machine, provider }) => {
      provider.signal("SIGSTOP");
      machine?.moveClock(3 * HOUR_S);
      return async () => {
        provider.signal("SIGCONT");
        await Bun.sleep(1500);
        machine?.moveClock(0);
      };
    },
  },
];
