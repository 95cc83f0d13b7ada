/**
 * @module A control plane of several nodes as a simple model. The rules of KMS v2 that hold after every step, and the steps
 * that commands are made of (key-commands.ts).
 */
import { expect } from "bun:test";
import { ProviderError } from "../../src/base/error-class.ts";
import { withRestored } from "../../src/key/registry/changes.ts";
import { decodeRecord } from "../../src/key/registry/encoding.ts";
import type { RegistryContent } from "../../src/key/registry/record.ts";
import type { KeyHandle } from "../../src/key/rotation/key-handles.ts";
import type { FakeKey, FakeKeyState } from "./fake-key.ts";
import { type KeyNode, NODE_STATE_PATH, testPolicy } from "./key-node.ts";

const never = new AbortController().signal;
const { activationDelayMs, probeIntervalMs, requireStableObservationCount: N } = testPolicy;

interface NodeModel {
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
  /** The key is as required and no node lags or fails. */
  sound: boolean;
}

export function nodeAt<T>(nodes: readonly T[], index: number): T {
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
      const handle = await keyOrRemoved(node, keyId, () => pass(model, real, probeIntervalMs));
      if (handle === "removed") {
        continue;
      }
      const { associatedData } = handle;
      expect(
        Buffer.from(await real.key.transit.decrypt({ ciphertext, associatedData }, never)).toString(),
      ).toBe(text);
    }
  }
}

/** The key of a Decrypt, after the pause between two look-ups if that is needed; or that a command removed it. */
async function keyOrRemoved(node: KeyNode, keyId: string, wait: () => void): Promise<KeyHandle | "removed"> {
  try {
    return await node.keys.keyForDecrypt(keyId, never);
  } catch (error) {
    const code = error instanceof ProviderError ? error.code : String(error);
    if (code === "version_removed") {
      return "removed";
    }
    expect(code).toBe("key_id_not_looked_up");
    wait();
    return await node.keys.keyForDecrypt(keyId, never);
  }
}

export function versionsOf(content: RegistryContent): readonly number[] {
  return content.versions.map((each) => each.version);
}

export function restoreVersions(real: Real, index: number): Promise<void> {
  return nodeAt(real.nodes, index).command((content) => withRestored(content, versionsOf(content)));
}

export async function write(model: Model, real: Real, index: number): Promise<void> {
  const node = nodeAt(real.nodes, index);
  const text = `seed ${model.written}`;
  try {
    const handle = node.keys.keyForEncrypt();
    const { associatedData, keyId, version } = handle;
    const plaintext = Buffer.from(text);
    const ciphertext = await real.key.transit.encrypt(
      { plaintext, associatedData, keyVersion: version },
      never,
    );
    await node.keys.confirmEncrypted(handle, { plaintext, ciphertext }, never);
    real.data.push({ keyId, ciphertext, text });
    model.written += 1;
  } catch (error) {
    expect(error).toBeInstanceOf(ProviderError);
  }
}

export function heal(real: Real): void {
  real.key.failWith(undefined);
  real.key.lag(undefined);
  real.key.change({ exists: true, upsertDisabled: true, settings: {}, minDecryptionVersion: 1 });
  real.sound = true;
}
