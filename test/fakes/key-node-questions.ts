/**
 * @module What tests ask of a node. Short questions and steps over test/fakes/key-node.ts, shared by the tests of the key
 * state.
 */
import { ProviderError } from "../../src/base/error-class.ts";
import { decodeRecord } from "../../src/key/registry/encoding.ts";
import type { RegistryRecord } from "../../src/key/registry/record.ts";
import { codeOf as rejectionCode } from "./code-of.ts";
import { type FakeKey, fakeKey } from "./fake-key.ts";
import { type KeyNode, keyNode, NODE_STATE_PATH, testPolicy } from "./key-node.ts";

export const never = new AbortController().signal;
/** As many probes must agree. */
export const N = testPolicy.requireStableObservationCount;
export const INTERVAL = testPolicy.probeIntervalMs;

export function codeOf(work: () => unknown): string {
  try {
    work();
    return "done";
  } catch (error) {
    return error instanceof ProviderError ? error.code : String(error);
  }
}

export function decryptCode(node: KeyNode, keyId: string): Promise<string> {
  return rejectionCode(node.keys.keyForDecrypt(keyId, never));
}

export function healthz(node: KeyNode): string {
  const status = node.keys.status();
  return status.kind === "known" ? status.healthz : status.kind;
}

export function recordOf(node: KeyNode): RegistryRecord {
  const decoded = decodeRecord(node.disk.get(NODE_STATE_PATH) ?? new Uint8Array());
  if (decoded.kind === "refused") {
    throw new Error(decoded.code);
  }
  return decoded.record;
}

export async function probes(node: KeyNode, count: number): Promise<void> {
  for (let each = 0; each < count; each += 1) {
    await node.probeAfter(INTERVAL);
  }
}

/** A node that runs with version 1 active. */
export async function running(): Promise<{ readonly key: FakeKey; readonly node: KeyNode }> {
  const key = fakeKey();
  const node = keyNode(key);
  await node.keys.start();
  await node.probe();
  return { key, node };
}
