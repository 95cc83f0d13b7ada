/**
 * A control plane of several nodes as a simple model, and the commands that happen to it.
 *
 * @module The rules of KMS v2 that hold after every step, and fast-check's commands: probes, rotations, crashes at any file
 * operation, failing disks, clocks that jump, machines that sleep, an OpenBao that fails, lags or is set wrongly.
 */
import { expect } from "bun:test";
import fc from "fast-check";
import { ProviderError } from "../../src/base/error-class.ts";
import { decodeRecord } from "../../src/registry/decode.ts";
import { type Fault, SURVIVALS, type Survival } from "./crash-disk.ts";
import type { FakeKey, FakeKeyState } from "./fake-key.ts";
import { type KeyNode, NODE_STATE_PATH, testPolicy } from "./key-node.ts";

const never = new AbortController().signal;
const { activationDelayMs, probeIntervalMs, requireStableObservationCount: N } = testPolicy;

export interface NodeModel {
  /** The highest version that Status ever showed, over restarts. */
  shown: number;
  /** True times of this node's probes; no clock of the node can change them. */
  readonly probes: number[];
}

export interface Model {
  /** Milliseconds that have really passed. */
  now: number;
  readonly createdAt: Map<number, number>;
  readonly nodes: readonly NodeModel[];
  /** How often something was written and by which version. */
  written: number;
}

export interface Real {
  readonly key: FakeKey;
  readonly nodes: readonly KeyNode[];
  readonly data: { readonly keyId: string; readonly ciphertext: string; readonly text: string }[];
  past: FakeKeyState;
  /** The key is as required and nobody lags or fails. */
  sound: boolean;
}

export type Command = fc.AsyncCommand<Model, Real>;

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

function nodeAt<T>(nodes: readonly T[], index: number): T {
  const node = nodes[index % nodes.length];
  if (node === undefined) {
    throw new RangeError("no node");
  }
  return node;
}

/** What holds after every single step. */
export function checkRules(model: Model, real: Real): void {
  for (const [index, node] of real.nodes.entries()) {
    const past = nodeAt(model.nodes, index);
    const file = node.disk.get(NODE_STATE_PATH);
    const decoded = file === undefined ? undefined : decodeRecord(file);
    expect(decoded?.kind ?? "record").toBe("record");

    const status = node.keys.status();
    const active = node.keys.view().active?.version;
    if (status.kind !== "known" || active === undefined) {
      continue;
    }
    expect(active, "Status never goes back").toBeGreaterThanOrEqual(past.shown);
    if (decoded?.kind === "record") {
      const onDisk = decoded.record.versions.find((each) => each.state === "active")?.version;
      expect(onDisk, "nothing is shown that is not durable").toBeGreaterThanOrEqual(active);
    }
    if (active > past.shown && past.shown > 0) {
      const created = model.createdAt.get(active) ?? Number.POSITIVE_INFINITY;
      const since = past.probes.filter((at) => at >= created);
      expect(since.length, "promoted after enough probes").toBeGreaterThanOrEqual(N);
      expect(model.now - (since[0] ?? model.now), "promoted after the delay").toBeGreaterThanOrEqual(
        activationDelayMs,
      );
    }
    past.shown = active;
  }
}

export async function probe(model: Model, real: Real, index: number): Promise<void> {
  nodeAt(model.nodes, index).probes.push(model.now);
  await nodeAt(real.nodes, index).probe();
}

export function pass(model: Model, real: Real, ms: number): void {
  model.now += ms;
  for (const node of real.nodes) {
    node.clock.pass(ms);
  }
}

/** Each node reads everything that any node ever wrote. */
export async function readAll(model: Model, real: Real): Promise<void> {
  for (const node of real.nodes) {
    if (node.keys.view().active === undefined) {
      continue;
    }
    for (const { keyId, ciphertext, text } of real.data) {
      const handle = await node.keys.keyForDecrypt(keyId, never).catch(async (error: unknown) => {
        expect(error instanceof ProviderError ? error.code : error).toBe("key_id_not_looked_up");
        pass(model, real, probeIntervalMs);
        return await node.keys.keyForDecrypt(keyId, never);
      });
      const { associatedData } = handle;
      expect(
        Buffer.from(await real.key.transit.decrypt({ ciphertext, associatedData }, never)).toString(),
      ).toBe(text);
    }
  }
}

export async function write(model: Model, real: Real, index: number): Promise<void> {
  const node = nodeAt(real.nodes, index);
  const text = `seed ${model.written}`;
  try {
    const { associatedData, keyId, version } = node.keys.keyForEncrypt();
    const plaintext = Buffer.from(text);
    const ciphertext = await real.key.transit.encrypt(
      { plaintext, associatedData, keyVersion: version },
      never,
    );
    real.data.push({ keyId, ciphertext, text });
    model.written += 1;
  } catch (error) {
    expect(error).toBeInstanceOf(ProviderError);
  }
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
  fc
    .tuple(anyNode, fc.constantFrom(1000, 3_600_000))
    .map(([index, ms]) =>
      command(`sleep ${index} for ${ms}`, (_, real) => nodeAt(real.nodes, index).clock.suspend(ms)),
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
  fc.constant(command("all is well", (_, real) => mend(real))),
];

export function mend(real: Real): void {
  real.key.failWith(undefined);
  real.key.lag(undefined);
  real.key.change({ exists: true, upsertDisabled: true, settings: {}, minDecryptionVersion: 1 });
  real.sound = true;
}
