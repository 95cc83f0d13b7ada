/**
 * Two nodes with a memory and one that loses it, against a model: through rotations, lags, outages and an OpenBao that goes
 * back and is put right, no node writes a key_id that the others cannot read, and none goes back to an older version.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { fakeKey } from "../../../test/fakes/fake-key.ts";
import {
  checkRules,
  heal,
  type Model,
  nodeAt,
  pass,
  probe,
  type Real,
  readAll,
  write,
} from "../../../test/fakes/key-model.ts";
import { keyNode, NODE_STATE_PATH, testPolicy } from "../../../test/fakes/key-node.ts";

const START = 1_800_000_000_000;
const { probeIntervalMs, requireStableObservationCount: N, retryIntervalMs } = testPolicy;
const RUNS = Number(Bun.env["MODEL_RUNS"] ?? 60);
/** The node that loses its memory. */
const FORGETS = 2;

interface Plane extends Model {
  /** The highest version that any node ever showed. */
  promoted: number;
  /** What the forgetful node showed, over the losses of its memory. */
  floor: number;
  /** OpenBao runs on an older state. */
  wentBack: boolean;
  /** The forgetful node saw that state since it lost its memory: nothing can tell it that there is a newer one. */
  misled: boolean;
  readonly down: Set<number>;
}

type Command = fc.AsyncCommand<Plane, Real>;

function command(name: string, run: (plane: Plane, real: Real) => Promise<void> | void): Command {
  return {
    check: () => true,
    run: async (plane, real) => {
      await run(plane, real);
      await check(plane, real);
    },
    toString: () => name,
  };
}

async function check(plane: Plane, real: Real): Promise<void> {
  checkRules(plane, real);
  const shown = real.nodes.map((node) => node.keys.view().active?.version ?? 0);
  const own = shown[FORGETS] ?? 0;
  if (own > 0) {
    expect(own, "the forgetful node never goes back").toBeGreaterThanOrEqual(plane.misled ? 0 : plane.floor);
    plane.floor = own;
  }
  plane.promoted = Math.max(plane.promoted, ...shown);
  if (!plane.wentBack) {
    await readAll(plane, real);
  }
}

async function round(plane: Plane, real: Real): Promise<void> {
  pass(plane, real, probeIntervalMs);
  for (const index of real.nodes.keys()) {
    if (!plane.down.has(index)) {
      await probe(plane, real, index);
      checkRules(plane, real);
    }
  }
}

async function forget(plane: Plane, real: Real): Promise<void> {
  const node = nodeAt(real.nodes, FORGETS);
  node.disk.put(NODE_STATE_PATH, undefined);
  node.disk.put(`${NODE_STATE_PATH}.checkpoint`, undefined);
  const past = nodeAt(plane.nodes, FORGETS);
  past.shown = 0;
  plane.misled = plane.wentBack;
  await node.restart();
}

/** As a start does: a probe at each retry interval. */
async function retry(plane: Plane, real: Real, times: number): Promise<void> {
  for (let time = 0; time < times; time += 1) {
    pass(plane, real, retryIntervalMs);
    const before = nodeAt(real.nodes, FORGETS).keys.view().active?.version;
    await probe(plane, real, FORGETS);
    const after = nodeAt(real.nodes, FORGETS).keys.view().active?.version;
    if (before === undefined && after !== undefined && !plane.misled) {
      expect(after, "begins at what the others use, or above").toBeGreaterThanOrEqual(plane.promoted);
    }
  }
}

const COMMANDS: readonly fc.Arbitrary<Command>[] = [
  fc.integer({ min: 1, max: 8 }).map((rounds) =>
    command(`${rounds} rounds`, async (plane, real) => {
      for (let each = 0; each < rounds; each += 1) {
        await round(plane, real);
      }
    }),
  ),
  fc
    .constantFrom(1000, 45_000, 125_000, 260_000)
    .map((ms) => command(`${ms} ms`, (plane, real) => pass(plane, real, ms))),
  fc.constant(
    command("rotate", (plane, real) => {
      if (!plane.wentBack) {
        real.past = real.key.state;
        pass(plane, real, 1000);
        real.key.rotate();
        plane.createdAt.set(real.key.state.versions.length, plane.now);
      }
    }),
  ),
  fc.constant(command("forget", forget)),
  fc
    .integer({ min: 1, max: 2 * N })
    .map((times) => command(`start ${times}`, (plane, real) => retry(plane, real, times))),
  fc.integer({ min: 1, max: N - 1 }).map((times) =>
    command(`start ${times} beside a standby that lags`, async (plane, real) => {
      if (!plane.wentBack) {
        real.key.lag(real.past);
        await retry(plane, real, times);
        real.key.lag(undefined);
        await retry(plane, real, 1);
      }
    }),
  ),
  fc.nat(1).map((index) =>
    command(`node ${index} goes down or comes back`, async (plane, real) => {
      if (plane.down.delete(index)) {
        await nodeAt(real.nodes, index).restart();
      } else {
        plane.down.add(index);
      }
    }),
  ),
  fc.nat(2).map((index) => command(`write ${index}`, (plane, real) => write(plane, real, index))),
  fc.constant(
    command("OpenBao goes back, or is put right", (plane, real) => {
      const now = real.key.state;
      real.key.restore(real.past);
      real.past = now;
      plane.wentBack = real.key.state.versions.length < now.versions.length;
      plane.misled ||= plane.wentBack;
    }),
  ),
];

test(
  "a node without a memory writes nothing that the others cannot read, and does not go back",
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.commands([...COMMANDS], { maxCommands: 60, size: "max" }), async (commands) => {
        const plane: Plane = {
          now: 0,
          createdAt: new Map([[1, 0]]),
          nodes: [0, 1, 2].map(() => ({ shown: 0, probes: [] })),
          written: 0,
          promoted: 0,
          floor: 0,
          wentBack: false,
          misled: false,
          down: new Set(),
        };
        const key = fakeKey(() => START + plane.now);
        const nodes = (["refuse", "refuse", "observe"] as const).map((missingState) =>
          keyNode(key, { ...testPolicy, missingState }),
        );
        const real: Real = { key, nodes, data: [], past: key.state, sound: true };
        for (const index of nodes.keys()) {
          await nodeAt(nodes, index).keys.start();
          await probe(plane, real, index);
        }
        await fc.asyncModelRun(() => ({ model: plane, real }), commands);

        if (plane.wentBack) {
          key.restore(real.past);
        }
        heal(real);
        plane.down.clear();
        for (let each = 0; each < 16; each += 1) {
          await round(plane, real);
        }
        for (const node of nodes) {
          expect(node.keys.status()).toMatchObject({ kind: "known", healthz: "ok" });
          expect(node.keys.keyForEncrypt().version).toBe(key.state.versions.length);
        }
        await readAll(plane, real);
      }),
      { numRuns: RUNS },
    );
  },
  { timeout: 600_000 },
);
