/** When a new version is promoted, and when not. */
import { describe, expect, test } from "bun:test";
import {
  healthz,
  INTERVAL,
  N,
  never,
  probes,
  recordOf,
  running,
} from "../../../test/fakes/key-node-questions.ts";
import { testIdentity } from "../../../test/fakes/registry-fixture.ts";
import { deriveKeyId } from "../identity/key-id.ts";

describe("a rotation", () => {
  test("is promoted after enough history and the delay, once, and stays", async () => {
    const { node, key } = await running();
    const first = node.keys.keyForEncrypt();
    key.rotate();
    await probes(node, 4);
    expect(node.keys.keyForEncrypt()).toBe(first);
    expect(node.keys.view().rotationState).toBe("pending");
    expect(node.takeEvents().filter((name) => name.startsWith("rotation."))).toEqual([
      "rotation.pending",
      "rotation.observed",
    ]);
    await node.probeAfter(INTERVAL);
    const second = node.keys.keyForEncrypt();
    expect(second.version).toBe(2);
    expect(node.takeEvents().filter((name) => name === "rotation.promoted")).toEqual(["rotation.promoted"]);
    expect(recordOf(node).versions.map((each) => each.state)).toEqual(["retired", "active"]);
    expect(recordOf(node).observation).toBeUndefined();
    expect((await node.keys.keyForDecrypt(first.keyId, never)).version).toBe(1);
    await probes(node, 5);
    expect(node.keys.keyForEncrypt()).toBe(second);
  });

  test("waits for the required history also when the delay is over", async () => {
    const { node, key } = await running();
    key.rotate();
    await node.probe();
    await node.probeAfter(10 * 60_000);
    expect(node.keys.keyForEncrypt().version).toBe(1);
    await node.probe();
    expect(node.keys.keyForEncrypt().version).toBe(2);
  });

  test("versions that were skipped are retired and decrypt", async () => {
    const { node, key } = await running();
    key.rotate();
    await node.probe();
    key.rotate();
    key.rotate();
    await node.probe();
    await probes(node, 5);
    expect(node.keys.keyForEncrypt().version).toBe(4);
    expect(recordOf(node).versions.map((each) => each.state)).toEqual([
      "retired",
      "retired",
      "retired",
      "active",
    ]);
    const keyId = deriveKeyId(testIdentity, key.state.versions[1] ?? { version: 0, createdAtUnix: 0 });
    expect((await node.keys.keyForDecrypt(keyId, never)).version).toBe(2);
  });

  test("continues over restarts, where a wall clock that jumps ahead hastens nothing", async () => {
    const { node, key } = await running();
    key.rotate();
    for (let each = 0; each < 20; each += 1) {
      await node.probe();
      node.clock.setWall(node.clock.wallMs() + 3_600_000);
      await node.restart();
    }
    expect(node.keys.view().observation?.stableForMs).toBe(0);
    await node.probe();
    for (let each = 1; each <= 4; each += 1) {
      expect(node.keys.keyForEncrypt().version).toBe(1);
      node.clock.pass(40_000);
      await node.restart();
      await node.probe();
      expect(node.keys.view().observation?.stableForMs).toBe(each < 4 ? each * INTERVAL : undefined);
    }
    expect(node.keys.keyForEncrypt().version).toBe(2);
  });

  test.each([
    ["that leaves the observation alone", 0, 10 * INTERVAL],
    ["that counted too: at most one interval", 1, INTERVAL],
  ])("counts the time since its own last look after a command %s", async (_, counted, stableForMs) => {
    const { node, key } = await running();
    key.rotate();
    await node.probe();
    await node.command(({ observation, ...content }) => ({
      ...content,
      notes: [{ atUnixMs: 1, kind: "override", by: "operator", reason: "test" }],
      ...(observation === undefined
        ? {}
        : { observation: { ...observation, count: observation.count + counted } }),
    }));
    await node.probeAfter(10 * INTERVAL);
    expect(node.keys.view().observation).toMatchObject({ count: 2 + counted, stableForMs });
  });

  test("a wall clock that jumps back only delays", async () => {
    const { node, key } = await running();
    key.rotate();
    await node.probe();
    node.clock.setWall(1000);
    node.clock.pass(60_000);
    await node.restart();
    await node.probe();
    expect(node.keys.view().observation).toMatchObject({ count: 2, stableForMs: 0 });
    await probes(node, 4);
    expect(node.keys.keyForEncrypt().version).toBe(2);
  });

  test("is not shown before it is durable", async () => {
    const { node, key } = await running();
    key.rotate();
    await probes(node, 4);
    node.disk.plan((_, name) => (name === "write" ? { kind: "fails", errno: "ENOSPC" } : { kind: "none" }));
    await node.probeAfter(INTERVAL);
    expect(node.keys.keyForEncrypt().version).toBe(1);
    expect(healthz(node)).toBe("ok");
    expect(node.keys.view().storeFailure?.code).toBe("state_full");
    node.disk.plan(() => ({ kind: "none" }));
    await node.probeAfter(INTERVAL);
    expect(node.keys.keyForEncrypt().version).toBe(2);
    expect(node.keys.view().storeFailure).toBeUndefined();
  });

  test("is not tried in a probe whose observation could not be written", async () => {
    const { node, key } = await running();
    key.rotate();
    await probes(node, 4);
    let writes = 0;
    node.disk.plan((_, name) => {
      writes += name === "write" ? 1 : 0;
      return name === "write" && writes === 1 ? { kind: "fails", errno: "ENOSPC" } : { kind: "none" };
    });
    await node.probeAfter(INTERVAL);
    expect(writes).toBe(1);
    expect(node.keys.keyForEncrypt().version).toBe(1);
    expect(node.keys.view().storeFailure?.code).toBe("state_full");
    await node.probeAfter(INTERVAL);
    expect(node.keys.keyForEncrypt().version).toBe(2);
  });

  test("needs a marker that decrypted", async () => {
    const { node, key } = await running();
    key.rotate();
    await probes(node, 4);
    key.failWith("version_too_new", "encrypt");
    await node.probeAfter(INTERVAL);
    expect(node.keys.keyForEncrypt().version).toBe(1);
    expect(healthz(node)).toBe("ok");
    expect(node.events.findLast(({ name }) => name === "rotation.pending")).toMatchObject({
      level: "warn",
      fields: { transitKeyVersion: 2, code: "version_too_new" },
    });
    key.failWith(undefined);
    await node.probeAfter(INTERVAL);
    expect(node.keys.keyForEncrypt().version).toBe(2);
    expect(recordOf(node).versions[1]?.marker).toStartWith("vault:v2:");
  });

  test("standbys that lag change nothing", async () => {
    const { node, key } = await running();
    const before = key.state;
    key.rotate();
    await probes(node, 2);
    key.lag(before);
    await probes(node, N - 1);
    expect(healthz(node)).toBe("ok");
    expect(recordOf(node).versions.map((each) => each.state)).toEqual(["active", "pending"]);
    key.lag(undefined);
    await probes(node, 3);
    expect(node.keys.keyForEncrypt().version).toBe(2);
    key.lag(before);
    await probes(node, N - 1);
    expect(healthz(node)).toBe("ok");
    expect(node.keys.status().kind).toBe("known");
  });

  test("twice; data of every version decrypts after each step", async () => {
    const { node, key } = await running();
    const stored: { readonly keyId: string; readonly ciphertext: string }[] = [];
    const store = async (): Promise<void> => {
      const handle = node.keys.keyForEncrypt();
      const { associatedData, keyId, version } = handle;
      const plaintext = Buffer.from(`seed ${stored.length}`);
      stored.push({
        keyId,
        ciphertext: await key.transit.encrypt({ plaintext, associatedData, keyVersion: version }, never),
      });
    };
    const readAll = async (): Promise<void> => {
      for (const [index, { keyId, ciphertext }] of stored.entries()) {
        const { associatedData } = await node.keys.keyForDecrypt(keyId, never);
        const plaintext = await key.transit.decrypt({ ciphertext, associatedData }, never);
        expect(Buffer.from(plaintext).toString()).toBe(`seed ${index}`);
      }
    };
    await store();
    for (let rotation = 0; rotation < 2; rotation += 1) {
      key.rotate();
      for (let step = 0; step < 6; step += 1) {
        await node.probeAfter(INTERVAL);
        await store();
        await readAll();
        await node.restart();
        await readAll();
        await node.probe();
      }
    }
    expect(new Set(stored.map((each) => each.keyId)).size).toBe(3);
  });
});

describe("a pending version that OpenBao forgot", () => {
  test("is noticed, and its number is rejected when it comes back as another", async () => {
    const { node, key } = await running();
    const before = key.state;
    key.rotate();
    await probes(node, 2);
    key.restore(before);
    await probes(node, N);
    expect(healthz(node)).toBe("version_rollback");
    expect(node.keys.keyForEncrypt().version).toBe(1);
    expect(recordOf(node).observation).toBeUndefined();
    key.rotate();
    await probes(node, 10);
    expect(healthz(node)).toBe("version_replaced");
    expect(node.keys.keyForEncrypt().version).toBe(1);
    expect(recordOf(node).versions.map((each) => each.state)).toEqual(["active", "pending", "rejected"]);
    key.rotate();
    await probes(node, 6);
    expect(node.keys.keyForEncrypt().version).toBe(3);
  });
});
