/** A node without a registry that observes the key: what it serves meanwhile, what it records, what stays refused. */
import { describe, expect, test } from "bun:test";
import { type FakeKey, fakeKey } from "../../../test/fakes/fake-key.ts";
import { type KeyNode, keyNode, NODE_STATE_PATH, testPolicy } from "../../../test/fakes/key-node.ts";
import { codeOf, decryptCode, healthz, N, never, recordOf } from "../../../test/fakes/key-node-questions.ts";
import { testIdentity } from "../../../test/fakes/registry-fixture.ts";
import { errorClassOf } from "../../base/error-class.ts";
import { deriveKeyId } from "../identity/key-id.ts";
import { originOf } from "../registry/record.ts";
import { noticeMs } from "./probe-history.ts";

const RETRY = testPolicy.retryIntervalMs;
const DELAY = testPolicy.activationDelayMs;
const SETTLED = DELAY + noticeMs(testPolicy) + 2000;

interface Started {
  readonly key: FakeKey;
  readonly node: KeyNode;
  /** Lets time pass for node and OpenBao alike. */
  readonly pass: (ms: number) => void;
}

/** A key with versions that were made so long ago, and a node without a registry. */
async function without(agesMs: readonly number[]): Promise<Started> {
  let now = 1_800_000_000_000;
  const key = fakeKey(() => now);
  const oldest = Math.max(...agesMs);
  now += 1000;
  key.recreate();
  for (const [index, age] of agesMs.entries()) {
    now += index === 0 ? 0 : (agesMs[index - 1] ?? oldest) - age;
    if (index > 0) {
      key.rotate();
    }
  }
  now += agesMs.at(-1) ?? 0;
  const node = keyNode(key, { ...testPolicy, missingState: "observe" });
  expect(await node.keys.start()).toBe("missing");
  return {
    key,
    node,
    pass: (ms) => {
      now += ms;
      node.clock.pass(ms);
    },
  };
}

async function probes({ node, pass }: Started, count: number): Promise<void> {
  for (let probe = 0; probe < count; probe += 1) {
    pass(RETRY);
    await node.probe();
  }
}

function keyIdOf(key: FakeKey, version: number): string {
  return deriveKeyId(testIdentity, key.state.versions[version - 1] ?? { version: 0, createdAtUnix: 0 });
}

describe("on a rotated key", () => {
  test("begins with the newest settled version, after as many probes as are required", async () => {
    const started = await without([9e7, 8e7]);
    const { key, node } = started;
    await probes(started, N - 1);
    expect(node.keys.status()).toEqual({ kind: "none", errorClass: "status_stale" });
    expect(node.keys.view()).toMatchObject({ ready: false, notReady: { code: "registry_observing" } });
    expect(codeOf(() => node.keys.keyForEncrypt())).toBe("no_key_version");
    expect(node.disk.names()).toEqual([]);
    for (const version of [1, 2]) {
      expect((await node.keys.keyForDecrypt(keyIdOf(key, version), never)).version).toBe(version);
    }
    expect(await decryptCode(node, deriveKeyId(testIdentity, { version: 9, createdAtUnix: 9 }))).toBe(
      "no_key_version",
    );

    await probes(started, 1);
    expect(healthz(node)).toBe("ok");
    expect(node.keys.keyForEncrypt().keyId).toBe(keyIdOf(key, 2));
    expect(node.keys.view().origin).toBe("observed");
    const record = recordOf(node);
    expect(record.versions.map(({ state }) => state)).toEqual(["retired", "active"]);
    expect(record.versions[1]?.marker).toStartWith("vault:v2:");
    expect(record.notes).toMatchObject([{ kind: "observed", by: "serve", atUnixMs: node.clock.wallMs() }]);
    expect(node.events.find(({ name }) => name === "registry.created")?.fields.code).toBe("observed");
    expect((await node.keys.keyForDecrypt(keyIdOf(key, 1), never)).version).toBe(1);

    await node.restart();
    expect(node.keys.view()).toMatchObject({ active: { version: 2 }, origin: "observed" });
  });

  test("a young version waits its turn as in any rotation", async () => {
    const started = await without([9e7, 8e7, 1000]);
    const { node, pass } = started;
    await probes(started, N);
    expect(node.keys.keyForEncrypt().version).toBe(2);
    expect(recordOf(node).versions.map(({ state }) => state)).toEqual(["retired", "active", "pending"]);
    for (let probe = 0; probe < 6; probe += 1) {
      pass(testPolicy.probeIntervalMs);
      await node.probe();
    }
    expect(node.keys.keyForEncrypt().version).toBe(3);
    expect(originOf(recordOf(node))).toBe("observed");
  });

  test("waits while other nodes may be promoting a version", async () => {
    const started = await without([9e7, DELAY]);
    const { key, node, pass } = started;
    await probes(started, N + 1);
    expect(node.keys.status().kind).toBe("none");
    expect((await node.keys.keyForDecrypt(keyIdOf(key, 2), never)).version).toBe(2);
    pass(SETTLED - DELAY);
    await probes(started, N);
    expect(node.keys.keyForEncrypt().version).toBe(2);
  });

  test("a version that came while it observes decrypts with the next probe", async () => {
    const started = await without([9e7, 8e7]);
    const { key, node } = started;
    await probes(started, 1);
    key.rotate();
    await probes(started, 1);
    expect((await node.keys.keyForDecrypt(keyIdOf(key, 3), never)).version).toBe(3);
  });

  test("an OpenBao that could not be asked neither counts nor resets the count", async () => {
    const started = await without([9e7, 8e7]);
    const { key, node } = started;
    await probes(started, N - 1);
    key.failWith("sealed");
    await probes(started, 3);
    expect(node.keys.status()).toEqual({ kind: "none", errorClass: "openbao_sealed" });
    key.failWith(undefined);
    await probes(started, 1);
    expect(healthz(node)).toBe("ok");
  });

  test("a key that is gone takes its versions along", async () => {
    const started = await without([9e7, 8e7]);
    const { key, node } = started;
    await probes(started, N - 1);
    key.change({ exists: false });
    await probes(started, 1);
    expect(await decryptCode(node, keyIdOf(key, 2))).toBe("no_key_version");
    key.change({ exists: true });
    await probes(started, N - 1);
    expect(node.keys.status().kind).toBe("none");
    await probes(started, 1);
    expect(healthz(node)).toBe("ok");
  });

  test("a registry that cannot be written is not used, and Decrypt goes on", async () => {
    const started = await without([9e7, 8e7]);
    const { key, node } = started;
    node.disk.plan((_, name) => (name === "rename" ? { kind: "fails", errno: "EROFS" } : { kind: "none" }));
    await probes(started, N + 2);
    expect(node.keys.view().notReady?.code).toBe("state_read_only");
    expect((await node.keys.keyForDecrypt(keyIdOf(key, 1), never)).version).toBe(1);
    node.disk.plan(() => ({ kind: "none" }));
    await probes(started, 1);
    expect(healthz(node)).toBe("ok");
  });

  test("takes a registry that an operator copies in meanwhile", async () => {
    const source = await without([9e7, 8e7]);
    await probes(source, N);
    const started = await without([9e7, 8e7]);
    await probes(started, 1);
    for (const path of [NODE_STATE_PATH, `${NODE_STATE_PATH}.checkpoint`]) {
      started.node.disk.put(path, source.node.disk.get(path));
    }
    await probes(started, 1);
    expect(recordOf(started.node)).toEqual(recordOf(source.node));
    expect(started.node.keys.keyForEncrypt().version).toBe(2);
  });
});

describe("on an unrotated key", () => {
  test("that is new begins at once, as a first start", async () => {
    const started = await without([1000]);
    await probes(started, 1);
    expect(healthz(started.node)).toBe("ok");
    expect(started.node.keys.view().origin).toBe("first_version");
    expect(recordOf(started.node).notes).toBeUndefined();
  });

  test("that is old is observed, since the answer may lag", async () => {
    const started = await without([9e7]);
    await probes(started, N - 1);
    expect(started.node.keys.status().kind).toBe("none");
    await probes(started, 1);
    expect(started.node.keys.view().origin).toBe("observed");
  });
});

describe("missing is not damaged", () => {
  test.each([
    ["a torn registry", NODE_STATE_PATH, Buffer.from('{\n  "format": "bao-kms')],
    ["an empty registry", NODE_STATE_PATH, Buffer.from("")],
    ["a foreign file", NODE_STATE_PATH, Buffer.from("{}")],
    ["a foreign checkpoint", `${NODE_STATE_PATH}.checkpoint`, Buffer.from("{}")],
  ])("%s stops the start", async (_, path, bytes) => {
    const { node } = await without([9e7, 8e7]);
    node.disk.put(path, bytes);
    const error = await node.restart().catch((thrown: unknown) => thrown);
    expect(errorClassOf(error)).toBe("registry_invalid");
  });

  test("a lost registry beside its checkpoint stops the start", async () => {
    const started = await without([9e7, 8e7]);
    await probes(started, N);
    started.node.disk.put(NODE_STATE_PATH, undefined);
    const error = await started.node.restart().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "registry_lost" });
  });

  test("an older copy of the registry stops the start", async () => {
    const started = await without([9e7, 8e7]);
    const { node } = started;
    await probes(started, N);
    const older = node.disk.get(NODE_STATE_PATH);
    await node.command((content) => content);
    await node.command((content) => content);
    node.disk.put(NODE_STATE_PATH, older);
    const error = await node.restart().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "registry_rolled_back" });
  });

  test("what proves the key lost still does", async () => {
    const started = await without([9e7, 8e7]);
    const { key, node, pass } = started;
    await probes(started, N);
    key.recreate();
    for (let probe = 0; probe < N; probe += 1) {
      pass(testPolicy.probeIntervalMs);
      await node.probe();
    }
    expect(node.keys.status().kind).toBe("lost");
  });
});
