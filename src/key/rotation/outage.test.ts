/** `status.outage: fail`: Status is an error while OpenBao is what is wrong, and only then. */
import { describe, expect, test } from "bun:test";
import { fakeKey } from "../../../test/fakes/fake-key.ts";
import { keyNode, testPolicy } from "../../../test/fakes/key-node.ts";
import { healthz, INTERVAL } from "../../../test/fakes/key-node-questions.ts";

async function running() {
  const key = fakeKey();
  const node = keyNode(key, { ...testPolicy, outage: "fail" });
  await node.keys.start();
  await node.probe();
  return { key, node };
}

describe("with status.outage: fail", () => {
  test("two failed probes make Status an error, and the first good one ends it", async () => {
    const { key, node } = await running();
    const { keyId } = node.keys.keyForEncrypt();
    key.failWith("sealed");
    await node.probeAfter(INTERVAL);
    expect(node.keys.status()).toEqual({ kind: "known", keyId, healthz: "ok" });
    await node.probeAfter(5000);
    expect(node.keys.status()).toEqual({ kind: "outage", errorClass: "openbao_sealed" });
    expect(node.keys.view().ready).toBe(false);
    key.failWith(undefined);
    await node.probeAfter(5000);
    expect(node.keys.status()).toEqual({ kind: "known", keyId, healthz: "ok" });
  });

  test("metadata that is too old makes Status an error", async () => {
    const { node } = await running();
    node.clock.pass(testPolicy.statusMaxStalenessMs);
    expect(healthz(node)).toBe("ok");
    node.clock.pass(1);
    expect(node.keys.status()).toEqual({ kind: "outage", errorClass: "status_stale" });
  });

  test("a key that cannot be used though its metadata can be read does too", async () => {
    const { key, node } = await running();
    key.failWith("permission_denied", "encrypt");
    for (let probe = 0; probe < 12; probe += 1) {
      await node.probeAfter(INTERVAL);
    }
    expect(node.keys.status()).toEqual({ kind: "outage", errorClass: "transit_policy_denied" });
  });

  test("a start is none before its first probe, and one after a failed one", async () => {
    const { key, node } = await running();
    await node.restart();
    expect(healthz(node)).toBe("starting");
    key.failWith("sealed");
    await node.probe();
    expect(node.keys.status()).toEqual({ kind: "outage", errorClass: "openbao_sealed" });
  });

  test("what is wrong with the key is none: its word is shown, and a lost key stays lost", async () => {
    const { key, node } = await running();
    key.change({ upsertDisabled: false });
    await node.probeAfter(INTERVAL);
    key.failWith("sealed");
    await node.probeAfter(INTERVAL);
    await node.probeAfter(INTERVAL);
    expect(healthz(node)).toBe("upsert_enabled");
    key.failWith(undefined);
    key.recreate();
    for (let probe = 0; probe < testPolicy.requireStableObservationCount; probe += 1) {
      await node.probeAfter(INTERVAL);
    }
    expect(node.keys.status().kind).toBe("lost");
  });
});
