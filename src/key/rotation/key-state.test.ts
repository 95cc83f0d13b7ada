/** The life of a key state: first start, restart, outage, look-ups, commands beside it, the run loop. */
import { describe, expect, test } from "bun:test";
import { fakeKey } from "../../../test/fakes/fake-key.ts";
import { keyNode, NODE_STATE_PATH, testPolicy } from "../../../test/fakes/key-node.ts";
import {
  codeOf,
  decryptCode,
  healthz,
  INTERVAL,
  never,
  probes,
  recordOf,
  running,
} from "../../../test/fakes/key-node-questions.ts";
import { testIdentity } from "../../../test/fakes/registry-fixture.ts";
import { errorClassOf } from "../../base/error-class.ts";
import { deriveKeyId } from "../identity/key-id.ts";

describe("the first start", () => {
  test("with an unrotated key makes its registry, with a marker", async () => {
    const { node } = await running();
    expect(healthz(node)).toBe("ok");
    expect(node.keys.keyForEncrypt().version).toBe(1);
    const [first] = recordOf(node).versions;
    expect(first?.state).toBe("active");
    expect(first?.marker).toStartWith("vault:v1:");
    expect(node.takeEvents()).toContain("registry.created");
  });

  test("with a rotated key fails closed and writes nothing", async () => {
    const key = fakeKey();
    key.rotate();
    const node = keyNode(key);
    expect(await node.keys.start()).toBe("missing");
    await node.probe();
    expect(node.keys.status().kind).toBe("none");
    expect(node.keys.view().notReady?.code).toBe("registry_rotated_without_state");
    expect(node.disk.names()).toEqual([]);
    expect(codeOf(() => node.keys.keyForEncrypt())).toBe("no_key_version");
    expect(await decryptCode(node, deriveKeyId(testIdentity, { version: 1, createdAtUnix: 1 }))).toBe(
      "no_key_version",
    );
  });

  test("with a key that is not as required waits until it is", async () => {
    const key = fakeKey();
    key.change({ upsertDisabled: false });
    const node = keyNode(key);
    await node.keys.start();
    await node.probe();
    expect(node.keys.view().notReady?.code).toBe("no_key_version");
    expect(node.disk.names()).toEqual([]);
    key.change({ upsertDisabled: true });
    await node.probeAfter(5000);
    expect(healthz(node)).toBe("ok");
  });

  test("takes a registry that an operator copies in meanwhile", async () => {
    const { node, key } = await running();
    key.rotate();
    const other = keyNode(key);
    await other.keys.start();
    await other.probe();
    expect(other.keys.status().kind).toBe("none");
    for (const path of [NODE_STATE_PATH, `${NODE_STATE_PATH}.checkpoint`]) {
      other.disk.put(path, node.disk.get(path));
    }
    await other.probeAfter(5000);
    expect(other.keys.status()).toEqual(node.keys.status());
  });

  test("a first registry that cannot be written is not shown", async () => {
    const key = fakeKey();
    const node = keyNode(key);
    node.disk.plan((_, name) => (name === "rename" ? { kind: "fails", errno: "EROFS" } : { kind: "none" }));
    await node.keys.start();
    await node.probe();
    expect(node.keys.status().kind).toBe("none");
    expect(node.keys.view().notReady?.code).toBe("state_read_only");
    expect(node.keys.view().storeFailure?.code).toBe("state_read_only");
  });
});

describe("a restart", () => {
  test("answers Status at once, and encrypts only after metadata was read", async () => {
    const { node, key } = await running();
    const before = node.keys.keyForEncrypt().keyId;
    node.takeEvents();
    await node.restart();
    expect(node.events).toMatchObject([
      { name: "registry.loaded", level: "info", fields: { generation: 1, transitKeyVersion: 1 } },
    ]);
    expect(node.keys.status()).toEqual({ kind: "known", keyId: before, healthz: "starting" });
    expect(codeOf(() => node.keys.keyForEncrypt())).toBe("metadata_not_read");
    expect((await node.keys.keyForDecrypt(before, never)).version).toBe(1);

    key.failWith("sealed");
    await node.probe();
    expect(healthz(node)).toBe("openbao_sealed");
    expect(codeOf(() => node.keys.keyForEncrypt())).toBe("metadata_not_read");
    key.failWith(undefined);
    await node.probe();
    expect(healthz(node)).toBe("ok");
    expect(node.keys.keyForEncrypt().keyId).toBe(before);
  });

  test("with a damaged registry fails closed", async () => {
    const { node } = await running();
    node.disk.put(NODE_STATE_PATH, Buffer.from("{"));
    const error = await node.restart().catch((thrown: unknown) => thrown);
    expect(errorClassOf(error)).toBe("registry_invalid");
  });
});

describe("a Decrypt for a version that this node has not seen", () => {
  test("looks it up once, records it as pending, and promotes nothing", async () => {
    const { node, key } = await running();
    key.rotate();
    const unseen = key.state.versions[1];
    const keyId = deriveKeyId(testIdentity, unseen ?? { version: 0, createdAtUnix: 0 });
    const reads = key.reads;
    node.takeEvents();
    const handles = await Promise.all([1, 2, 3].map(() => node.keys.keyForDecrypt(keyId, never)));
    expect(handles.map((each) => each.version)).toEqual([2, 2, 2]);
    expect(key.reads).toBe(reads + 1);
    expect(node.takeEvents()).toEqual(["rotation.pending", "status.probe"]);
    expect(recordOf(node).versions.map((each) => each.state)).toEqual(["active", "pending"]);
    expect(recordOf(node).observation).toBeUndefined();
    expect(node.keys.keyForEncrypt().version).toBe(1);
  });

  test("looks up at most once per probe interval, failures included", async () => {
    const { node, key } = await running();
    const unknown = deriveKeyId(testIdentity, { version: 9, createdAtUnix: 9 });
    const reads = key.reads;
    expect(await decryptCode(node, unknown)).toBe("key_id_unknown");
    expect(await decryptCode(node, unknown)).toBe("key_id_not_looked_up");
    expect(key.reads).toBe(reads + 1);
    node.clock.pass(INTERVAL);
    key.failWith("sealed");
    node.takeEvents();
    expect(await decryptCode(node, unknown)).toBe("sealed");
    expect(node.events).toMatchObject([
      {
        name: "status.probe",
        level: "warn",
        fields: { probeKind: "discovery", code: "sealed", healthz: "ok" },
      },
    ]);
    const error = await node.keys.keyForDecrypt(unknown, never).catch((thrown: unknown) => thrown);
    expect(errorClassOf(error)).toBe("openbao_sealed");
    expect(error).toMatchObject({ code: "key_id_not_looked_up", cause: { code: "sealed" } });
    expect(key.reads).toBe(reads + 2);
    expect(await decryptCode(node, "obk1.foreign")).toBe("key_id_malformed");
  });

  test("is served from memory when the state directory cannot be written", async () => {
    const { node, key } = await running();
    key.rotate();
    node.disk.plan((_, name) =>
      name === "open-create" ? { kind: "fails", errno: "EROFS" } : { kind: "none" },
    );
    const keyId = deriveKeyId(testIdentity, key.state.versions[1] ?? { version: 0, createdAtUnix: 0 });
    expect((await node.keys.keyForDecrypt(keyId, never)).version).toBe(2);
    expect(recordOf(node).versions.length).toBe(1);
    expect(node.keys.view().storeFailure?.code).toBe("state_read_only");
    await probes(node, 8);
    expect(node.keys.keyForEncrypt().version).toBe(1);
    expect((await node.keys.keyForDecrypt(keyId, never)).version).toBe(2);
  });

  test("is refused when the live key contradicts the registry", async () => {
    const { node, key } = await running();
    key.recreate();
    key.rotate();
    const keyId = deriveKeyId(testIdentity, key.state.versions[1] ?? { version: 0, createdAtUnix: 0 });
    expect(await decryptCode(node, keyId)).toBe("key_id_unknown");
    expect(recordOf(node).versions.length).toBe(1);
  });
});

describe("while OpenBao cannot be asked", () => {
  test("Status keeps its key_id, Encrypt is still tried, and all recovers by itself", async () => {
    const { node, key } = await running();
    const handle = node.keys.keyForEncrypt();
    key.failWith("sealed");
    await node.probeAfter(INTERVAL);
    expect(healthz(node)).toBe("ok");
    await node.probeAfter(5000);
    expect(node.keys.status()).toEqual({ kind: "known", keyId: handle.keyId, healthz: "openbao_sealed" });
    expect(node.keys.keyForEncrypt()).toBe(handle);
    await probes(node, 10);
    expect(node.keys.status().kind).toBe("known");
    key.failWith(undefined);
    await node.probeAfter(INTERVAL);
    expect(healthz(node)).toBe("ok");
  });

  test("Status is stale when no probe ends for too long", async () => {
    const { node } = await running();
    node.clock.pass(testPolicy.statusMaxStalenessMs + 1000);
    expect(healthz(node)).toBe("status_stale");
    await node.probe();
    expect(healthz(node)).toBe("ok");
  });

  test("a machine that slept knows that its metadata is old", async () => {
    const { node } = await running();
    node.clock.suspend(3_600_000);
    expect(healthz(node)).toBe("status_stale");
  });

  test("a probe goes deep when its interval is over, not before", async () => {
    const { node } = await running();
    const deep = () =>
      node.events
        .splice(0)
        .filter(({ name, fields }) => name === "status.probe" && fields.probeKind === "deep").length;
    expect(deep()).toBe(1);
    node.clock.pass(testPolicy.deepProbeIntervalMs - 1);
    await node.probe();
    expect(deep()).toBe(0);
    await node.probeAfter(1);
    expect(deep()).toBe(1);
    await node.probe();
    expect(deep()).toBe(0);
  });

  test("a deep probe that cannot encrypt is shown, though metadata can be read", async () => {
    const { node, key } = await running();
    key.failWith("permission_denied", "encrypt");
    await probes(node, 12);
    expect(healthz(node)).toBe("transit_policy_denied");
    key.failWith(undefined);
    await node.probeAfter(INTERVAL);
    expect(healthz(node)).toBe("ok");
  });
});

describe("a command that writes beside the daemon", () => {
  test("is followed without a restart", async () => {
    const { node, key } = await running();
    key.rotate();
    await probes(node, 2);
    const note = { atUnixMs: 1, kind: "override", by: "operator", reason: "test" };
    for (let write = 0; write < 3; write += 1) {
      await node.command((content) => ({ ...content, notes: [...(content.notes ?? []), note] }));
    }
    node.takeEvents();
    await probes(node, 1);
    expect(node.takeEvents()).toContain("registry.adopted");
    await probes(node, 3);
    expect(node.keys.keyForEncrypt().version).toBe(2);
    expect(recordOf(node).notes?.length).toBe(3);
  });

  test("a registry that was removed is written again from memory", async () => {
    const { node, key } = await running();
    key.rotate();
    await probes(node, 6);
    const paths = [NODE_STATE_PATH, `${NODE_STATE_PATH}.checkpoint`];
    const before = paths.map((path) => node.disk.get(path));
    for (const removed of [paths, [NODE_STATE_PATH]]) {
      for (const path of removed) {
        node.disk.put(path, undefined);
      }
      node.takeEvents();
      await node.probe();
      expect(node.keys.view().storeFailure).toBeUndefined();
      expect(node.events.find(({ name }) => name === "registry.write")).toMatchObject({
        level: "warn",
        fields: { status: "ok", code: "registry_lost" },
      });
      expect(paths.map((path) => node.disk.get(path))).toEqual(before);
    }
    await node.restart();
    expect(node.keys.view().active?.version).toBe(2);
  });

  test("but not where a checkpoint says that others came further", async () => {
    const { node } = await running();
    await node.command((content) => content);
    await node.command((content) => content);
    node.disk.put(NODE_STATE_PATH, undefined);
    await node.probe();
    expect(node.keys.view().storeFailure?.code).toBe("checkpoint_disagrees");
    expect(node.disk.get(NODE_STATE_PATH)).toBeUndefined();
    expect(healthz(node)).toBe("ok");
  });

  test("a store that cannot be written is reported once per reason, and once when it can be again", async () => {
    const { node, key } = await running();
    const reports = () =>
      node.events
        .splice(0)
        .filter(({ name }) => name === "registry.write")
        .map(({ level, fields: { status, code } }) => [level, status, code]);
    const plan = (errno?: string): void =>
      node.disk.plan((_, name) =>
        name === "write" && errno !== undefined ? { kind: "fails", errno } : { kind: "none" },
      );
    key.rotate();
    reports();
    for (const [errno, report] of [
      ["ENOSPC", ["error", "error", "state_full"]],
      ["EROFS", ["error", "error", "state_read_only"]],
      [undefined, ["info", "ok", "state_read_only"]],
    ] as const) {
      plan(errno);
      await probes(node, 1);
      expect(reports()).toEqual([[...report]]);
      await probes(node, 1);
      expect(reports()).toEqual([]);
    }
  });

  test("a stranger's file is not adopted, and the loaded state serves on", async () => {
    const { node, key } = await running();
    const { keyId } = node.keys.keyForEncrypt();
    node.disk.put(NODE_STATE_PATH, Buffer.from("stranger"));
    await node.probe();
    expect(node.keys.view().storeFailure?.code).toBe("registry_foreign");
    expect(node.keys.status()).toEqual({ kind: "known", keyId, healthz: "ok" });
    key.rotate();
    await probes(node, 8);
    expect(node.keys.keyForEncrypt().keyId).toBe(keyId);
    expect(Buffer.from(node.disk.get(NODE_STATE_PATH) ?? []).toString()).toBe("stranger");
  });
});

describe("the run loop", () => {
  test("probes at its interval, more often while failing, and ends when told", async () => {
    const key = fakeKey();
    const node = keyNode(key);
    await node.keys.start();
    const stop = new AbortController();
    const ended = node.keys.run(stop.signal);
    await node.clock.advance(0);
    expect(healthz(node)).toBe("ok");
    const reads = key.reads;
    await node.clock.advance(10 * INTERVAL);
    expect(key.reads - reads).toBe(10);
    key.failWith("sealed");
    await node.clock.advance(INTERVAL);
    const failing = key.reads;
    await node.clock.advance(10 * testPolicy.retryIntervalMs);
    expect(key.reads - failing).toBe(10);
    stop.abort();
    await ended;
    expect(node.clock.sleeping).toBe(0);
  });
});
