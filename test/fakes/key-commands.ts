/** @module What happens to a control plane, as commands for fast-check. */
import fc from "fast-check";
import { withRemoved } from "../../src/key/registry/changes.ts";
import { type Fault, SURVIVALS, type Survival } from "./crash-disk.ts";
import type { FakeKeyState } from "./fake-key.ts";
import {
  checkRules,
  heal,
  type Model,
  nodeAt,
  pass,
  probe,
  type Real,
  readAll,
  restoreVersions,
  versionsOf,
  write,
} from "./key-model.ts";
import { testPolicy } from "./key-node.ts";

const { probeIntervalMs } = testPolicy;

type Command = fc.AsyncCommand<Model, Real>;

/** A command with its name, so that a counterexample can be read. */
function command(name: string, run: (model: Model, real: Real) => Promise<void> | void): Command {
  return {
    check: () => true,
    run: async (model, real) => {
      await run(model, real);
      checkRules(model, real);
    },
    toString: () => name,
  };
}

async function crash(model: Model, real: Real, index: number, at: number, survival: Survival): Promise<void> {
  const node = nodeAt(real.nodes, index);
  node.disk.plan((operation) => (operation === at ? { kind: "crash" } : { kind: "none" }));
  await probe(model, real, index);
  node.disk.reboot(survival);
  await node.restart();
}

async function faultyProbe(model: Model, real: Real, index: number, at: number, fault: Fault): Promise<void> {
  const node = nodeAt(real.nodes, index);
  node.disk.plan((operation) => (operation >= at ? fault : { kind: "none" }));
  await probe(model, real, index);
  node.disk.plan(() => ({ kind: "none" }));
}

const anyNode = fc.nat(2);
const anyWait = fc.constantFrom(0, 1000, 30_000, 30_000, 60_000, 600_000);
const anyFault = fc.constantFrom<Fault>(
  { kind: "fails", errno: "EIO" },
  { kind: "fails", errno: "ENOSPC" },
  { kind: "fails", errno: "EROFS" },
  { kind: "happens_and_fails", errno: "EIO" },
  { kind: "short" },
);

/** What a rotation is made of; taken more often than the rest. */
export const ORDINARY: readonly fc.Arbitrary<Command>[] = [
  fc.tuple(anyNode, anyWait).map(([index, ms]) =>
    command(`probe ${index} after ${ms}`, async (model, real) => {
      pass(model, real, ms);
      await probe(model, real, index);
    }),
  ),
  fc.integer({ min: 1, max: 6 }).map((rounds) =>
    command(`${rounds} rounds`, async (model, real) => {
      for (let round = 0; round < rounds; round += 1) {
        pass(model, real, probeIntervalMs);
        for (const index of real.nodes.keys()) {
          await probe(model, real, index);
          checkRules(model, real);
        }
      }
    }),
  ),
  fc.constant(
    command("rotate", (model, real) => {
      real.past = real.key.state;
      real.key.rotate();
      model.createdAt.set(real.key.state.versions.length, model.now);
    }),
  ),
  fc
    .tuple(anyNode, fc.integer({ min: 2, max: 8 }), fc.constantFrom(0, 60_000, 3_600_000))
    .map(([index, times, jump]) =>
      command(`restart ${index} ${times} times, clock ahead by ${jump} each`, async (model, real) => {
        const node = nodeAt(real.nodes, index);
        for (let time = 0; time < times; time += 1) {
          node.clock.setWall(node.clock.wallMs() + jump);
          pass(model, real, 1500);
          await node.restart();
          await probe(model, real, index);
          checkRules(model, real);
        }
      }),
    ),
  anyNode.map((index) => command(`write ${index}`, (model, real) => write(model, real, index))),
  fc.constant(
    command("read all", async (model, real) => {
      if (real.sound) {
        await readAll(model, real);
      }
    }),
  ),
];

export const MISHAPS: readonly fc.Arbitrary<Command>[] = [
  anyNode.map((index) => command(`restart ${index}`, (_, real) => nodeAt(real.nodes, index).restart())),
  anyNode.map((index) =>
    command(`remove retired versions on ${index}`, (_, real) =>
      nodeAt(real.nodes, index).command((content) => withRemoved(content, versionsOf(content))),
    ),
  ),
  anyNode.map((index) => command(`restore versions on ${index}`, (_, real) => restoreVersions(real, index))),
  anyNode.map((index) =>
    command(`boot ${index}`, async (_, real) => {
      nodeAt(real.nodes, index).clock.reboot();
      await nodeAt(real.nodes, index).restart();
    }),
  ),
  fc
    .tuple(anyNode, fc.nat(40), fc.constantFrom(...SURVIVALS))
    .map(([index, at, survival]) =>
      command(`crash ${index} at ${at} ${JSON.stringify(survival)}`, (model, real) =>
        crash(model, real, index, at, survival),
      ),
    ),
  fc
    .tuple(anyNode, fc.nat(40), anyFault)
    .map(([index, at, fault]) =>
      command(`disk ${index} from ${at} ${JSON.stringify(fault)}`, (model, real) =>
        faultyProbe(model, real, index, at, fault),
      ),
    ),
  fc.tuple(anyNode, fc.integer({ min: -4_000_000, max: 4_000_000 })).map(([index, ms]) =>
    command(`clock ${index} by ${ms}`, (_, real) => {
      const { clock } = nodeAt(real.nodes, index);
      clock.setWall(clock.wallMs() + ms);
    }),
  ),
  fc.tuple(anyNode, fc.constantFrom(1000, 3_600_000)).map(([index, ms]) =>
    command(`sleep ${index} for ${ms}`, (model, real) => {
      // The others stay awake meanwhile.
      model.now += ms;
      for (const node of real.nodes) {
        if (node === nodeAt(real.nodes, index)) {
          node.clock.suspend(ms);
        } else {
          node.clock.pass(ms);
        }
      }
    }),
  ),
  fc
    .constantFrom(...(["sealed", "permission_denied", "rate_limited", "standby_behind"] as const))
    .map((code) =>
      command(`OpenBao says ${code}`, (_, real) => {
        real.key.failWith(code);
        real.sound = false;
      }),
    ),
  fc.constant(
    command("a standby lags", (_, real) => {
      real.key.lag(real.past);
      real.sound = false;
    }),
  ),
  fc
    .constantFrom<readonly [string, Partial<FakeKeyState>]>(
      ["upsert", { upsertDisabled: false }],
      ["soft deletion", { settings: { softDeleted: true } }],
      ["deletion", { exists: false }],
      ["hidden versions", { minDecryptionVersion: 100 }],
      ["profile", { settings: { deletionAllowed: true } }],
    )
    .map(([name, change]) =>
      command(`key: ${name}`, (_, real) => {
        real.key.change(change);
        real.sound = false;
      }),
    ),
  fc.constant(command("all is well", (_, real) => heal(real))),
];
