/**
 * The wall clock, and a machine that sleeps.
 *
 * The wall clock of the provider alone is moved (own-machine.ts); OpenBao's stays right.
 */
import { eventually } from "../../harness/eventually.ts";
import type { Expectation, Fault } from "../fault.ts";
import type { World } from "../world.ts";

const HOUR_S = 3600;
const FIVE_MINUTES_S = 300;
/** The activation delay of the suite's configuration is 500 ms. */
const FINE: Expectation = { status: "ok", encrypt: "works", decrypt: "works" };

const moved =
  (...seconds: readonly number[]) =>
  async ({ machine }: World) => {
    for (const each of seconds) {
      machine?.moveClock(each);
      await Bun.sleep(700);
    }
    return () => machine?.moveClock(0);
  };

const onItsOwn = { root: true, ownMachine: true } as const;

export const clocks: readonly Fault[] = [
  {
    ...onItsOwn,
    id: "clock-ahead",
    title: "Wall clock 5 minutes ahead",
    expect: FINE,
    cause: moved(FIVE_MINUTES_S),
  },
  {
    ...onItsOwn,
    id: "clock-behind",
    title: "Wall clock 5 minutes behind",
    expect: FINE,
    cause: moved(-FIVE_MINUTES_S),
  },
  {
    ...onItsOwn,
    id: "clock-jumps",
    title: "Wall clock jumping 5 hours ahead, 5 hours behind, and back",
    expect: FINE,
    cause: moved(5 * HOUR_S, -5 * HOUR_S),
  },
  {
    ...onItsOwn,
    id: "clock-jump-in-rotation",
    title: "Wall clock jumping a day ahead right after a rotation: the promotion takes as long as without",
    expect: { ...FINE, keyId: "moves" },
    cause: async (world) => {
      const before = world.load.keyId();
      await world.post(`${world.keyPath}/rotate`);
      const began = performance.now();
      world.machine?.moveClock(24 * HOUR_S);
      await eventually("the new version is promoted", () => world.load.keyId() !== before, {
        timeoutMs: 20_000,
      });
      if (performance.now() - began < 500) {
        throw new Error("the promotion was hastened by the wall clock");
      }
      return () => world.machine?.moveClock(0);
    },
  },
  {
    ...onItsOwn,
    id: "machine-asleep",
    title: "Machine asleep: SIGSTOP, the wall clock 3 hours further, SIGCONT",
    expect: { status: "silent", encrypt: "any", decrypt: "any" },
    lastsMs: 30_000,
    cause: (world) => {
      world.provider.signal("SIGSTOP");
      world.machine?.moveClock(3 * HOUR_S);
      return async () => {
        world.provider.signal("SIGCONT");
        await Bun.sleep(1500);
        world.machine?.moveClock(0);
      };
    },
  },
];
