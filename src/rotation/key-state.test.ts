import { describe, expect, test } from "bun:test";
import { fakeKey } from "../../test/fakes/fake-key.ts";
import { type KeyNode, keyNode, NODE_STATE_PATH, testPolicy } from "../../test/fakes/key-node.ts";
import { testIdentity } from "../../test/fakes/registry-fixture.ts";
import { errorClassOf, ProviderError } from "../base/error-class.ts";
import { deriveKeyId } from "../identity/key-id.ts";
import { decodeRecord } from "../registry/decode.ts";
import type { RegistryRecord } from "../registry/record.ts";

const never = new AbortController().signal;
const N = testPolicy.requireStableObservationCount;
const INTERVAL = testPolicy.probeIntervalMs;

function codeOf(work: () => unknown): string {
  try {
    work();
    return "done";
  } catch (error) {
    return error instanceof ProviderError ? error.code : String(error);
  }
}

async function decryptCode(node: KeyNode, keyId: string): Promise<string> {
  try {
    await node.keys.keyForDecrypt(keyId, never);
    return "done";
  } catch (error) {
    return error instanceof ProviderError ? error.code : String(error);
  }
}

function healthz(node: KeyNode): string {
  const status = node.keys.status();
  return status.kind === "known" ? status.healthz : status.kind;
}

function recordOf(node: KeyNode): RegistryRecord {
  const decoded = decodeRecord(node.disk.get(NODE_STATE_PATH) ?? new Uint8Array());
  if (decoded.kind === "refused") {
    throw new Error(decoded.code);
  }
  return decoded.record;
}

async function probes(node: KeyNode, count: number): Promise<void> {
  for (let each = 0; each < count; each += 1) {
    await node.probeAfter(INTERVAL);
  }
}

/** A node that runs with version 1 active. */
async function running(): Promise<{ readonly key: ReturnType<typeof fakeKey>; readonly node: KeyNode }> {
  const key = fakeKey();
  const node = keyNode(key);
  await node.keys.start();
  await node.probe();
  return { key, node };
}

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
  });
});

describe("a restart", () => {
  test("answers Status at once, and encrypts only after metadata was read", async () => {
    const { node, key } = await running();
    const before = node.keys.keyForEncrypt().keyId;
    await node.restart();
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

describe("a rotation", () => {
  test("is promoted after enough sightings and the delay, once, and stays", async () => {
    const { node, key } = await running();
    const first = node.keys.keyForEncrypt();
    key.rotate();
    await probes(node, 4);
    expect(node.keys.keyForEncrypt()).toBe(first);
    expect(node.keys.view().rotationState).toBe("pending");
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

  test("waits for the required sightings also when the delay is over", async () => {
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

  test("goes on over restarts, where a wall clock that jumps ahead hastens nothing", async () => {
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

  test("needs a marker that decrypted", async () => {
    const { node, key } = await running();
    key.rotate();
    await probes(node, 4);
    key.failWith("version_too_new", "encrypt");
    await node.probeAfter(INTERVAL);
    expect(node.keys.keyForEncrypt().version).toBe(1);
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

describe("a Decrypt for a version that this node has not seen", () => {
  test("looks it up once, records it as pending, and promotes nothing", async () => {
    const { node, key } = await running();
    key.rotate();
    const unseen = key.state.versions[1];
    const keyId = deriveKeyId(testIdentity, unseen ?? { version: 0, createdAtUnix: 0 });
    const reads = key.reads;
    const handles = await Promise.all([1, 2, 3].map(() => node.keys.keyForDecrypt(keyId, never)));
    expect(handles.map((each) => each.version)).toEqual([2, 2, 2]);
    expect(key.reads).toBe(reads + 1);
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
    expect(await decryptCode(node, unknown)).toBe("sealed");
    const error = await node.keys.keyForDecrypt(unknown, never).catch((thrown: unknown) => thrown);
    expect(errorClassOf(error)).toBe("openbao_sealed");
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

describe("a key that is not as required", () => {
  const held: readonly (readonly [string, (key: ReturnType<typeof fakeKey>) => void, string])[] = [
    ["disable_upsert off", (key) => key.change({ upsertDisabled: false }), "upsert_enabled"],
    ["deletion allowed", (key) => key.change({ settings: { deletionAllowed: true } }), "deletion_allowed"],
    ["exportable", (key) => key.change({ settings: { exportable: true } }), "exportable"],
    [
      "plaintext backup",
      (key) => key.change({ settings: { allowPlaintextBackup: true } }),
      "plaintext_backup_allowed",
    ],
    ["another type", (key) => key.change({ settings: { type: "chacha20-poly1305" } }), "wrong_type"],
    ["derived", (key) => key.change({ settings: { derived: true } }), "derived"],
    ["convergent", (key) => key.change({ settings: { convergent: true } }), "convergent"],
    [
      "no encryption",
      (key) => key.change({ settings: { supportsEncryption: false } }),
      "encryption_unsupported",
    ],
    [
      "no decryption",
      (key) => key.change({ settings: { supportsDecryption: false } }),
      "decryption_unsupported",
    ],
    [
      "min_encryption_version above active",
      (key) => key.change({ settings: { minEncryptionVersion: 9 } }),
      "min_encryption_above_active",
    ],
    ["a needed version hidden", (key) => key.change({ minDecryptionVersion: 2 }), "needed_version_hidden"],
  ];
  test.each(held)(
    "%s: nothing is encrypted, Status has a reason, Decrypt goes on",
    async (_, damage, code) => {
      const { node, key } = await running();
      key.rotate();
      await probes(node, 5);
      const { keyId } = node.keys.keyForEncrypt();
      const good = key.state;
      damage(key);
      key.rotate();
      await probes(node, 6);
      expect(node.keys.status()).toMatchObject({ kind: "known", keyId });
      expect(healthz(node)).not.toBe("ok");
      expect(node.keys.view().notReady?.code).toBe(code);
      expect(codeOf(() => node.keys.keyForEncrypt())).toBe("encrypt_held");
      expect((await node.keys.keyForDecrypt(keyId, never)).version).toBe(2);
      key.restore({ ...good, versions: key.state.versions });
      await node.probeAfter(INTERVAL);
      expect(healthz(node)).toBe("ok");
      expect(node.keys.keyForEncrypt().version).toBe(2);
    },
  );
});

describe("a lost active version", () => {
  const lost: readonly (readonly [string, (key: ReturnType<typeof fakeKey>) => void, string])[] = [
    ["the key is gone", (key) => key.change({ exists: false }), "key_missing"],
    ["soft deletion", (key) => key.change({ settings: { softDeleted: true } }), "soft_deleted"],
    ["a changed creation time", (key) => key.recreate(), "active_version_recreated"],
    [
      "a lower latest version",
      (key) => key.change({ versions: key.state.versions.slice(0, 1) }),
      "latest_below_active",
    ],
    [
      "min_decryption_version above active",
      (key) => key.change({ minDecryptionVersion: 3 }),
      "active_version_hidden",
    ],
    [
      "material that changed under the same creation time",
      (key) => key.change({ versions: key.state.versions.map((each) => ({ ...each, material: "other" })) }),
      "marker_refused",
    ],
  ];
  test.each(lost)(
    "%s: confirmed by enough probes, then writes stop, and it recovers by itself",
    async (_, damage, code) => {
      const { node, key } = await running();
      key.rotate();
      await probes(node, 5);
      const { keyId } = node.keys.keyForEncrypt();
      const good = key.state;
      damage(key);
      if (code === "marker_refused") {
        node.clock.pass(testPolicy.deepProbeIntervalMs);
      }
      await probes(node, N - 1);
      expect(node.keys.status()).toMatchObject({ kind: "known", keyId });
      expect(node.takeEvents()).not.toContain("rotation.lost");
      await node.probeAfter(INTERVAL);
      expect(node.keys.status()).toEqual({ kind: "lost", errorClass: "transit_key_missing" });
      expect(node.takeEvents()).toContain("rotation.lost");
      expect(node.keys.view().notReady?.code).toBe(code);
      expect(codeOf(() => node.keys.keyForEncrypt())).toBe("active_version_lost");
      expect((await node.keys.keyForDecrypt(keyId, never)).version).toBe(2);

      await node.restart();
      expect(node.keys.status()).toMatchObject({ kind: "known", keyId });
      expect(codeOf(() => node.keys.keyForEncrypt())).not.toBe("done");
      await probes(node, N);
      expect(node.keys.status().kind).toBe("lost");

      key.restore(good);
      await node.probeAfter(INTERVAL);
      expect(node.keys.status()).toEqual({ kind: "known", keyId, healthz: "ok" });
      expect(node.keys.keyForEncrypt().version).toBe(2);
      expect(node.takeEvents()).toContain("rotation.recovered");
    },
  );

  test("that OpenBao cannot be asked in between proves nothing and forgets nothing", async () => {
    const { node, key } = await running();
    key.change({ exists: false });
    await probes(node, N - 1);
    key.failWith("sealed");
    await probes(node, 5);
    expect(node.keys.status().kind).toBe("known");
    key.failWith(undefined);
    await probes(node, 1);
    expect(node.keys.status().kind).toBe("lost");
  });

  test("a key that was made again is never encrypted with, not even once", async () => {
    const { node, key } = await running();
    key.recreate();
    await node.probe();
    expect(codeOf(() => node.keys.keyForEncrypt())).toBe("encrypt_held");
    await probes(node, N);
    expect(recordOf(node).versions.map((each) => each.state)).toEqual(["active", "rejected"]);
    const keyId = deriveKeyId(testIdentity, key.state.versions[0] ?? { version: 0, createdAtUnix: 0 });
    expect(await decryptCode(node, keyId)).toBe("version_rejected");
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

describe("a command that writes beside the daemon", () => {
  test("is followed without a restart", async () => {
    const { node, key } = await running();
    key.rotate();
    await probes(node, 6);
    const command = keyNode(key);
    for (const path of [NODE_STATE_PATH, `${NODE_STATE_PATH}.checkpoint`]) {
      command.disk.put(path, node.disk.get(path));
    }
    await command.restart();
    key.rotate();
    await command.probe();
    for (const path of [NODE_STATE_PATH, `${NODE_STATE_PATH}.checkpoint`]) {
      node.disk.put(path, command.disk.get(path));
    }
    node.takeEvents();
    await node.probe();
    expect(node.takeEvents()).toContain("registry.adopted");
    expect(node.keys.view().storeFailure).toBeUndefined();
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
