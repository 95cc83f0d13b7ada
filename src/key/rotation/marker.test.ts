/** A fresh ciphertext is answered only when the key of the marker made it. */
import { describe, expect, test } from "bun:test";
import type { FakeKey } from "../../../test/fakes/fake-key.ts";
import { type KeyNode, NODE_STATE_PATH, testPolicy } from "../../../test/fakes/key-node.ts";
import { codeOf, healthz, N, never, recordOf, running } from "../../../test/fakes/key-node-questions.ts";
import { ProviderError } from "../../base/error-class.ts";
import type { TransitClient } from "../../openbao/transit/client.ts";
import { encodeCheckpoint } from "../registry/checkpoint.ts";
import { encodeRecord } from "../registry/encoding.ts";
import type { KeyHandle } from "./key-handles.ts";
import { type FreshCiphertext, MARKER, makeMarker, readsBack } from "./marker.ts";

const plaintext = Buffer.from("seed");

async function seal(key: FakeKey, { associatedData, version }: KeyHandle): Promise<FreshCiphertext> {
  const input = { plaintext, associatedData, keyVersion: version };
  return { plaintext, ciphertext: await key.transit.encrypt(input, never) };
}

async function confirmCode(node: KeyNode, handle: KeyHandle, fresh: FreshCiphertext): Promise<string> {
  try {
    await node.keys.confirmEncrypted(handle, fresh, never);
    return "done";
  } catch (error) {
    return error instanceof ProviderError ? error.code : String(error);
  }
}

/** Another key with the same versions, made in the same seconds: only its material tells. */
function replaceKey(key: FakeKey): () => void {
  const good = key.state;
  key.change({ versions: good.versions.map((each) => ({ ...each, material: "other" })) });
  return () => key.restore(good);
}

describe("what was encrypted", () => {
  test("under the version's own key is confirmed", async () => {
    const { node, key } = await running();
    const handle = node.keys.keyForEncrypt();
    expect(await confirmCode(node, handle, await seal(key, handle))).toBe("done");
    expect(healthz(node)).toBe("ok");
  });

  test("under another key with the same version is refused before any probe", async () => {
    const { node, key } = await running();
    const handle = node.keys.keyForEncrypt();
    replaceKey(key);
    expect(await confirmCode(node, handle, await seal(key, handle))).toBe("key_replaced");
  });

  test("under another key that was there for this one call only is refused", async () => {
    const { node, key } = await running();
    const handle = node.keys.keyForEncrypt();
    const putBack = replaceKey(key);
    const fresh = await seal(key, handle);
    putBack();
    expect(await confirmCode(node, handle, fresh)).toBe("key_replaced");
  });

  test("and comes back changed is refused", async () => {
    const { node, key } = await running();
    const handle = node.keys.keyForEncrypt();
    const { ciphertext } = await seal(key, handle);
    const fresh = { plaintext: Buffer.from("another"), ciphertext };
    expect(await confirmCode(node, handle, fresh)).toBe("key_replaced");
  });

  test("is not answered when OpenBao cannot be asked, which proves nothing", async () => {
    const { node, key } = await running();
    const handle = node.keys.keyForEncrypt();
    const fresh = await seal(key, handle);
    key.failWith("sealed");
    expect(await confirmCode(node, handle, fresh)).toBe("sealed");
    key.failWith(undefined);
    expect(healthz(node)).toBe("ok");
    expect(node.keys.keyForEncrypt()).toBe(handle);
  });

  test("under a version that was superseded meanwhile is checked against that version's marker", async () => {
    const { node, key } = await running();
    const handle = node.keys.keyForEncrypt();
    const fresh = await seal(key, handle);
    key.rotate();
    for (let probe = 0; probe < 6; probe += 1) {
      await node.probeAfter(testPolicy.probeIntervalMs);
    }
    expect(node.keys.keyForEncrypt().version).toBe(2);
    expect(await confirmCode(node, handle, fresh)).toBe("done");
  });
});

test("a refusal makes the run loop look at once, and again until it is certain or good", async () => {
  const { node, key } = await running();
  const stop = new AbortController();
  const ended = node.keys.run(stop.signal);
  await node.clock.advance(0);
  const handle = node.keys.keyForEncrypt();
  const putBack = replaceKey(key);
  const fresh = await seal(key, handle);
  expect(await confirmCode(node, handle, fresh)).toBe("key_replaced");
  await node.clock.advance(0);
  expect(healthz(node)).toBe("marker_refused");
  expect(codeOf(() => node.keys.keyForEncrypt())).toBe("encrypt_held");
  expect(await confirmCode(node, handle, fresh)).toBe("key_replaced");
  await node.clock.advance(0);
  expect(node.keys.status().kind).toBe("known");
  await node.clock.advance((N - 1) * testPolicy.retryIntervalMs);
  expect(node.keys.status().kind).toBe("lost");
  putBack();
  await node.clock.advance(testPolicy.retryIntervalMs);
  expect(healthz(node)).toBe("ok");
  stop.abort();
  await ended;
  expect(node.clock.sleeping).toBe(0);
});

/** A node that began with a registry that has no marker, as rebuild-registry writes it. */
async function startedWithoutMarker() {
  const { node, key } = await running();
  const record = recordOf(node);
  const bare = encodeRecord({
    ...record,
    versions: record.versions.map(({ marker: _marker, ...version }) => version),
  });
  node.disk.put(NODE_STATE_PATH, bare.bytes);
  node.disk.put(`${NODE_STATE_PATH}.checkpoint`, encodeCheckpoint({ generation: 1, hash: bare.hash }));
  await node.restart();
  return { node, key };
}

test("without a marker nothing is encrypted, until a probe has made one", async () => {
  const { node, key } = await startedWithoutMarker();
  key.failWith("permission_denied", "encrypt");
  await node.probe();
  expect(healthz(node)).toBe("starting");
  expect(codeOf(() => node.keys.keyForEncrypt())).toBe("marker_missing");
  key.failWith(undefined);
  await node.probe();
  expect(healthz(node)).toBe("ok");
  const handle = node.keys.keyForEncrypt();
  expect(await confirmCode(node, handle, await seal(key, handle))).toBe("done");
});

test("a missing marker is not written in a probe whose observation could not be", async () => {
  const { node, key } = await startedWithoutMarker();
  let writes = 0;
  node.disk.plan((_, name) => {
    writes += name === "write" ? 1 : 0;
    return name === "write" && writes === 1 ? { kind: "fails", errno: "ENOSPC" } : { kind: "none" };
  });
  key.rotate();
  await node.probe();
  expect(writes).toBe(1);
  expect(node.keys.view().storeFailure?.code).toBe("state_full");
  await node.probe();
  expect(node.keys.view().storeFailure).toBeUndefined();
  expect(recordOf(node).versions[0]?.marker).toStartWith("vault:v1:");
});

test("a marker that opens to something else is no proof, nor is another plaintext", async () => {
  const { node, key } = await running();
  const handle = node.keys.keyForEncrypt();
  const fresh = await seal(key, handle);
  const opening = (first: Uint8Array, second: Uint8Array): Pick<TransitClient, "decryptTogether"> => ({
    decryptTogether: async () =>
      [first, second].map((value, batchIndex) => ({
        ok: true,
        value: { value, requestId: "id", batchIndex },
      })),
  });
  const asked = (first: Uint8Array, second: Uint8Array): Promise<boolean> =>
    readsBack(opening(first, second), handle, "marker", fresh, never);
  expect(await asked(MARKER, plaintext)).toBe(true);
  expect(await asked(Buffer.from("another"), plaintext)).toBe(false);
  expect(await asked(MARKER, Buffer.from("another"))).toBe(false);
});

describe("answers that are not of one request", () => {
  const apart: Pick<TransitClient, "decryptTogether">["decryptTogether"] = async (inputs) =>
    inputs.map(() => ({ ok: true, value: { value: plaintext, requestId: undefined } }));

  test("prove nothing: it is asked again, and refused as unavailable in the end", async () => {
    const { node, key } = await running();
    const handle = node.keys.keyForEncrypt();
    const fresh = await seal(key, handle);
    const marker = await makeMarker(key.transit, handle, never);
    let asked = 0;
    const lagging = (apartFor: number): Pick<TransitClient, "decryptTogether"> => ({
      decryptTogether: (inputs, signal) => {
        asked += 1;
        return asked <= apartFor ? apart(inputs, signal) : key.transit.decryptTogether(inputs, signal);
      },
    });
    expect(await readsBack(lagging(1), handle, marker, fresh, never)).toBe(true);
    asked = 0;
    const error: unknown = await readsBack(lagging(9), handle, marker, fresh, never).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ code: "not_read_back", errorClass: "openbao_unavailable" });
  });
});
