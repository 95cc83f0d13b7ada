/** What a probe keeps when the state directory, the marker of a new version or the probe itself fails. */
import { describe, expect, test } from "bun:test";
import { fakeKey } from "../../../test/fakes/fake-key.ts";
import { keyNode } from "../../../test/fakes/key-node.ts";
import { INTERVAL, never, probes, running } from "../../../test/fakes/key-node-questions.ts";
import { testIdentity } from "../../../test/fakes/registry-fixture.ts";
import type { TransitClient } from "../../openbao/transit/client.ts";
import { deriveKeyId } from "../identity/key-id.ts";

const NO_VERSION = { version: 0, createdAtUnix: 0 };

/** A node just before its promotion to version 2, for which Encrypt then answers as given. */
async function beforePromotion(encrypt: TransitClient["encrypt"]) {
  const key = fakeKey();
  let isDue = false;
  const node = keyNode({
    ...key,
    transit: {
      ...key.transit,
      encrypt: (input, signal) =>
        isDue && input.keyVersion === 2 ? encrypt(input, signal) : key.transit.encrypt(input, signal),
    },
  });
  await node.probe();
  key.rotate();
  await probes(node, 4);
  node.clock.pass(INTERVAL);
  node.takeEvents();
  isDue = true;
  return node;
}

test("a version that a probe saw is kept in memory while it cannot be written", async () => {
  const { node, key } = await running();
  key.rotate();
  node.disk.plan((_, name) => (name === "write" ? { kind: "fails", errno: "ENOSPC" } : { kind: "none" }));
  node.takeEvents();
  await node.probe();
  const { reads } = key;
  const keyId = deriveKeyId(testIdentity, key.state.versions[1] ?? NO_VERSION);
  expect((await node.keys.keyForDecrypt(keyId, never)).version).toBe(2);
  expect(key.reads).toBe(reads);
  expect(node.takeEvents()).not.toContain("rotation.pending");
});

describe("the marker of a version that is due", () => {
  test("an unknown error fails the probe", async () => {
    const node = await beforePromotion(() => Promise.reject(new TypeError("a defect")));
    await node.probe();
    expect(node.keys.view().failure?.code).toBe("unexpected");
    expect(node.keys.keyForEncrypt().version).toBe(1);
    expect(node.takeEvents()).not.toContain("rotation.pending");
  });

  test("a probe that is stopped meanwhile reports nothing", async () => {
    const stop = new AbortController();
    const sealed = fakeKey();
    sealed.failWith("sealed");
    const node = await beforePromotion((input) => {
      stop.abort();
      return sealed.transit.encrypt(input, never);
    });
    const ended = await node.keys.probe(stop.signal).then(
      () => "done",
      (error: unknown) => error,
    );
    expect(ended).toBe(stop.signal.reason);
    await node.clock.advance(0);
    expect(node.takeEvents()).toEqual([]);
    expect(node.keys.view().failure).toBeUndefined();
  });
});
