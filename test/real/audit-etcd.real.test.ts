/**
 * The audit on real etcd: running clusters with mutual TLS, snapshots that etcdctl saved, and snapshots that were damaged.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { openFile } from "../../src/etcd/bolt/file.ts";
import type { SourceAudit } from "../../src/etcd/evidence.ts";
import { type EtcdEndpoint, etcdEndpoint } from "../../src/etcd/reader/endpoint.ts";
import { readLive } from "../../src/etcd/reader/live.ts";
import type { EntrySink } from "../../src/etcd/reader/record.ts";
import { openSnapshot } from "../../src/etcd/reader/snapshot.ts";
import { type AuditTarget, runAudit } from "../../src/etcd/run-audit.ts";
import { ourStoredValue } from "../fakes/etcd/envelope-bytes.ts";
import { withDigest } from "../fakes/etcd/snapshot-bytes.ts";
import { TEST_IDENTITY } from "../fakes/key-scope.ts";
import { type RealEtcd, startEtcd } from "../harness/etcd.ts";
import { describeReal } from "../harness/real-suite.ts";

const scope = TEST_IDENTITY;
const values = [1, 2, 3].map((version) =>
  ourStoredValue(scope, { version, createdAtUnix: 1_700_000_000 + version }),
);
const PLAIN = Buffer.from("k8s\0plain");
const signal = new AbortController().signal;

function secrets(count: number): (readonly [string, Uint8Array])[] {
  return Array.from({ length: count }, (_, n) => [
    `/registry/secrets/ns-${n % 7}/secret-${n}`,
    values[n % values.length] ?? PLAIN,
  ]);
}

function audit(target: AuditTarget): Promise<SourceAudit> {
  return runAudit(target, {
    prefix: "/registry",
    knownKeyIds: new Map(),
    clock: systemClock,
    signal,
    onProgress: () => {},
  });
}

function endpointsOf(cluster: RealEtcd, urls = cluster.endpoints): EtcdEndpoint[] {
  const tls = {
    ca: readFileSync(cluster.tls.ca),
    client: { certificate: readFileSync(cluster.tls.cert), privateKey: readFileSync(cluster.tls.key) },
  };
  return urls.map((url) => etcdEndpoint(url, tls, { timeoutMs: 3000, maxAnswerBytes: 1024 * 1024 }));
}

function liveTarget(endpoints: readonly EtcdEndpoint[], objectsPerSecond = 1e9): AuditTarget {
  return { kind: "etcd", endpoints, objectsPerSecond };
}

describeReal("audit: one etcd", { needs: ["etcd", "etcdctl", "etcdutl"] }, (binary) => {
  let cluster: RealEtcd;
  let endpoints: EtcdEndpoint[] = [];
  beforeAll(async () => {
    cluster = await startEtcd(binary("etcd"));
    endpoints = endpointsOf(cluster);
    await cluster.put(secrets(3000));
    await cluster.put([
      ["/registry/secrets/b/plain", PLAIN],
      ["/registry/example.com/widgets/b/w", values[0] ?? PLAIN],
      ["/registry/configmaps/b/large", Buffer.alloc(400_000, 1)],
      ["/registry/pods/b/p", PLAIN],
      ["/registryx/secrets/b/other", PLAIN],
      ["/registry/secrets/ns-0/secret-0", values[2] ?? PLAIN],
    ]);
    await cluster.remove("/registry/secrets/ns-1/secret-1");
  }, 60_000);
  afterAll(async () => {
    for (const endpoint of endpoints) {
      endpoint.close();
    }
    await cluster?.dispose();
  });

  test("a running etcd and its snapshot give the same counts", async () => {
    const live = await audit(liveTarget(endpoints));
    const saved = await audit({ kind: "snapshot", file: cluster.snapshot(binary("etcdctl"), "same.snap") });
    expect(live.objects).toBe(3003);
    expect(live.resources).toEqual(saved.resources);
    expect(live.keyIds.map(({ objects }) => objects)).toEqual([1001, 999, 1000]);
    expect(live.source).toMatchObject({
      kind: "etcd",
      restarts: 0,
      revision: "revision" in saved.source ? saved.source.revision : 0,
    });
    expect(saved.source).toMatchObject({ integrity: "verified" });
  });

  test("a copy of member/snap/db reads the same, and is said to be bare", async () => {
    const before = await audit({
      kind: "snapshot",
      file: cluster.snapshot(binary("etcdctl"), "before.snap"),
    });
    const copy = join(cluster.dir, "copy.db");
    await Bun.sleep(200);
    copyFileSync(join(cluster.dataDir(0), "member/snap/db"), copy);
    const bare = await audit({ kind: "snapshot", file: copy });
    expect(bare.source).toMatchObject({ integrity: "absent" });
    expect(bare.resources).toEqual(before.resources);
  });

  test("after a compaction the snapshot still gives the same counts", async () => {
    const before = await audit(liveTarget(endpoints));
    await cluster.compact();
    const after = await audit({
      kind: "snapshot",
      file: cluster.snapshot(binary("etcdctl"), "compacted.snap"),
    });
    expect(after.resources).toEqual(before.resources);
    expect(after.source).toMatchObject({
      revision: "revision" in before.source ? before.source.revision : 0,
    });
  });

  test("without a client certificate nothing is read", async () => {
    const stranger = etcdEndpoint(cluster.endpoints[0] ?? "", undefined, {
      timeoutMs: 500,
      maxAnswerBytes: 1024,
    });
    const clock = { ...systemClock, sleep: () => Promise.resolve() };
    const failed = readLive(Buffer.from("/registry/"), nothing(), {
      endpoints: [stranger],
      clock,
      signal,
      objectsPerSecond: 1e9,
      onProgress: () => {},
    });
    expect(await failed.catch((error: unknown) => error)).toMatchObject({ code: "etcd_unreachable" });
    stranger.close();
  });

  test("objects larger than the answer that is taken are refused clearly, smaller pages are tried first", async () => {
    await cluster.put([["/registry/secrets/b/huge", Buffer.alloc(1_200_000, 1)]]);
    const failed = await audit(liveTarget(endpoints)).catch((error: unknown) => error);
    expect(failed).toMatchObject({ code: "etcd_object_too_large" });
    await cluster.remove("/registry/secrets/b/huge");
    expect((await audit(liveTarget(endpoints))).objects).toBe(3003);
  });

  test("a compaction during the read starts it again, and nothing is counted twice", async () => {
    let adds = 0;
    let resets = 0;
    let compaction: Promise<void> | undefined;
    const sink: EntrySink = {
      reset: () => {
        resets += 1;
        adds = 0;
      },
      add: () => {
        adds += 1;
      },
    };
    const read = await readLive(Buffer.from("/registry/"), sink, {
      endpoints,
      clock: {
        ...systemClock,
        // Between two pages of the first read: write, then compact what that read looks at.
        sleep: async () => {
          compaction ??= cluster
            .put([["/registry/secrets/b/plain", Buffer.from("newer")]])
            .then(() => cluster.compact());
          await compaction;
        },
      },
      signal,
      objectsPerSecond: 1e9,
      onProgress: () => {},
    });
    expect(read.restarts).toBe(1);
    expect(resets).toBe(2);
    expect(adds).toBe(3003);
  });

  test("a store that was restored with a raised revision gives the same counts", async () => {
    const file = cluster.snapshot(binary("etcdctl"), "before-restore.snap");
    const restored = join(cluster.dir, "bumped");
    const { status, stderr } = spawnSync(
      binary("etcdutl"),
      [
        "snapshot",
        "restore",
        file,
        "--data-dir",
        restored,
        "--bump-revision",
        "1000000000",
        "--mark-compacted",
      ],
      { encoding: "utf8" },
    );
    expect(status, stderr).toBe(0);
    const database = readFileSync(join(restored, "member", "snap", "db"));
    const saved = join(cluster.dir, "bumped.snap");
    writeFileSync(saved, withDigest(database));
    const before = await audit({ kind: "snapshot", file });
    const after = await audit({ kind: "snapshot", file: saved });
    expect(after.objects).toBe(before.objects);
    expect(after.resources).toEqual(before.resources);
    expect(after.source).toMatchObject({ integrity: "verified" });
    expect(Reflect.get(after.source, "revision")).toBeGreaterThan(1_000_000_000);
  });

  describe("a damaged snapshot", () => {
    let intact: Buffer = Buffer.of();
    beforeAll(() => {
      intact = readFileSync(cluster.snapshot(binary("etcdctl"), "intact.snap"));
    });
    const refusalOf = async (bytes: Uint8Array): Promise<unknown> => {
      const path = join(cluster.dir, "damaged.snap");
      writeFileSync(path, bytes);
      const failed = await audit({ kind: "snapshot", file: path }).catch((error: unknown) => error);
      return failed instanceof Error && "code" in failed ? failed.code : "not refused";
    };
    const pagesOf = (flags: number): number[] =>
      Array.from({ length: Math.floor(intact.length / 4096) }, (_, page) => page * 4096).filter(
        (at) => intact.readUInt16LE(at + 8) === flags && intact.readBigUInt64LE(at) === BigInt(at / 4096),
      );

    test("one byte anywhere: the digest refuses it, as etcdutl does", async () => {
      for (const at of [
        100,
        4096 + 100,
        Math.floor(intact.length / 2),
        intact.length - 33,
        intact.length - 1,
      ]) {
        const bytes = Buffer.from(intact);
        bytes[at] = (bytes[at] ?? 0) ^ 0x40;
        expect(["snapshot_hash_mismatch", "snapshot_damaged"]).toContain(String(await refusalOf(bytes)));
      }
      const { status } = spawnSync(binary("etcdutl"), [
        "snapshot",
        "restore",
        join(cluster.dir, "damaged.snap"),
        "--data-dir",
        join(cluster.dir, "restored"),
      ]);
      expect(status).not.toBe(0);
    });

    test.each([
      ["header", 0x04, 8],
      ["header, its sizes", 0x04, 24],
      ["branch, its number", 0x01, 0],
      ["branch, its kind", 0x01, 8],
      ["branch, its children", 0x01, 16 + 8 + 3],
      ["leaf, its number", 0x02, 1],
      ["leaf, its count", 0x02, 11],
      ["leaf, its elements", 0x02, 16 + 15],
    ])("%s, under a digest that fits: refused", async (_, flags, offset) => {
      // The pages that the newest tree uses are among those of the kind; each damaged alone must not change a count.
      const whole = await audit({ kind: "snapshot", file: join(cluster.dir, "intact.snap") });
      let refused = 0;
      for (const page of pagesOf(flags).slice(0, 12)) {
        const bytes = Buffer.from(intact.subarray(0, intact.length - 32));
        bytes[page + offset] = (bytes[page + offset] ?? 0) ^ 0x80;
        const path = join(cluster.dir, "damaged.snap");
        writeFileSync(path, withDigest(bytes));
        const outcome = await audit({ kind: "snapshot", file: path }).catch((error: unknown) => error);
        if (outcome instanceof Error) {
          expect(outcome).toMatchObject({ name: "AuditError" });
          refused += 1;
        } else {
          // A page that no tree uses any more.
          expect(outcome).toMatchObject({ objects: whole.objects, resources: whole.resources });
        }
      }
      expect(refused).toBeGreaterThan(0);
    });

    test.each([0.1, 0.5, 0.9, 0.999])("cut off at %d of its length: refused", async (share) => {
      expect(String(await refusalOf(intact.subarray(0, Math.floor(intact.length * share))))).toStartWith(
        "snapshot_",
      );
    });

    test("not etcd's at all", async () => {
      expect(await refusalOf(Buffer.alloc(100_000, "no database "))).toBe("snapshot_not_etcd");
      expect(await refusalOf(Buffer.of())).toBe("snapshot_truncated");
    });
  });

  test("a key walk in many parts gives the same objects as in one", async () => {
    const file = openFile(cluster.snapshot(binary("etcdctl"), "parts.snap"));
    const names = async (maxKeysPerWalk: number): Promise<readonly string[]> => {
      const options = { clock: systemClock, signal, onProgress: () => {}, maxKeysPerWalk };
      const found: string[] = [];
      const snapshot = await openSnapshot(file, options);
      await snapshot.read(Buffer.from("/registry/"), {
        reset: () => {},
        add: ({ key }) => found.push(Buffer.from(key).toString()),
      });
      return found.sort();
    };
    expect(await names(300)).toEqual(await names(1_000_000 / 2));
    file.close();
  });
});

describeReal("audit: a cluster of three", { needs: ["etcd"] }, (binary) => {
  let cluster: RealEtcd;
  beforeAll(async () => {
    cluster = await startEtcd(binary("etcd"), 3);
    await cluster.put(secrets(4000));
  }, 60_000);
  afterAll(() => cluster?.dispose());

  test("a member that goes away during the read: the next one continues behind the last key", async () => {
    const endpoints = endpointsOf(cluster);
    const keys: string[] = [];
    let killed: Promise<void> | undefined;
    const read = await readLive(
      Buffer.from("/registry/"),
      { reset: () => keys.splice(0), add: ({ key }) => keys.push(Buffer.from(key).toString()) },
      {
        endpoints,
        clock: {
          ...systemClock,
          sleep: async (ms) => {
            killed ??= cluster.kill(0);
            await killed;
            await Bun.sleep(Math.min(ms, 100));
          },
        },
        signal,
        objectsPerSecond: 1e9,
        onProgress: () => {},
      },
    );
    for (const endpoint of endpoints) {
      endpoint.close();
    }
    expect(read.restarts).toBe(0);
    expect(new Set(keys).size).toBe(4000);
    expect(keys.length).toBe(4000);
  }, 60_000);

  test("an endpoint of another cluster is refused", async () => {
    const other = await startEtcd(binary("etcd"));
    const mixed = [...endpointsOf(cluster, cluster.endpoints.slice(1, 2)), ...endpointsOf(other)];
    const failed = await audit(liveTarget(mixed)).catch((error: unknown) => error);
    expect(failed).toMatchObject({ code: "etcd_other_cluster" });
    for (const endpoint of mixed) {
      endpoint.close();
    }
    await other.dispose();
  }, 60_000);
});

function nothing(): EntrySink {
  return { reset: () => {}, add: () => {} };
}
