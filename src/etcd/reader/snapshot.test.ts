import { describe, expect, test } from "bun:test";
import { memoryFile } from "../../../test/fakes/etcd/memory-file.ts";
import { leafNode, metaPage, snapshotBytes } from "../../../test/fakes/etcd/snapshot-bytes.ts";
import { systemClock } from "../../base/clock.ts";
import type { ReadProgress } from "./record.ts";
import { openSnapshot, type Snapshot } from "./snapshot.ts";

const PREFIX = Buffer.from("/registry/");
const MIB = 1024 * 1024;
const SINK = { reset: () => {}, add: () => {} };

interface Opening {
  readonly progress?: ReadProgress[];
  readonly maxKeysPerWalk?: number;
  /** The turn at which the signal aborts. */
  readonly stopAt?: number;
}

function open(bytes: Uint8Array, { progress = [], maxKeysPerWalk, stopAt }: Opening = {}): Promise<Snapshot> {
  const stop = new AbortController();
  return openSnapshot(memoryFile(bytes), {
    clock: {
      ...systemClock,
      sleep: async (_, signal) => {
        if (progress.length === stopAt) {
          stop.abort(new Error("stopped"));
        }
        signal?.throwIfAborted();
      },
    },
    signal: stop.signal,
    onProgress: (each) => progress.push(each),
    ...(maxKeysPerWalk === undefined ? {} : { maxKeysPerWalk }),
  });
}

const write = (n: number) => ({ key: `/registry/secrets/s${n}`, value: Buffer.of(1) });
const BARE = { pageBytes: 4096, hashed: false };
/** What `etcdutl snapshot restore --bump-revision` writes; it is walked and not decoded. */
const marks = (count: number): Uint8Array =>
  snapshotBytes(
    Array.from({ length: count }, () => ({ key: "" })),
    BARE,
  );

describe("the revision of the store", () => {
  test.each([
    ["the newest record", { scheduled: 2n, finished: 1n }, 3],
    ["the last compaction, when its records are gone", { scheduled: 900n, finished: 800n }, 900],
    ["the last finished compaction", { scheduled: 1n, finished: 700n }, 700],
  ])("is that of %s", async (_, compacted, revision) => {
    const bytes = snapshotBytes([write(1), write(2)], { ...BARE, compacted });
    expect(await open(bytes)).toMatchObject({ revision, records: 2 });
  });
});

test("a bbolt database in which `key` is no bucket is not one of etcd", async () => {
  const root = leafNode([{ key: Buffer.from("key"), value: Buffer.alloc(16), flags: 0 }]);
  const bytes = Buffer.alloc(4 * 1024);
  const meta = { pageBytes: 1024, rootPage: 3, pageCount: 4 };
  bytes.set(metaPage(0, meta), 0);
  bytes.set(metaPage(1, meta), 1024);
  root.writeBigUInt64LE(3n, 0);
  bytes.set(root, 3 * 1024);
  expect(open(bytes)).rejects.toMatchObject({ code: "snapshot_not_etcd" });
});

test("a packed file is known by its first six bytes", async () => {
  const packed = Buffer.from("1f8b08000000", "hex");
  expect(open(packed)).rejects.toMatchObject({ code: "snapshot_compressed" });
  expect(open(packed.subarray(0, 5))).rejects.toMatchObject({ code: "snapshot_truncated" });
});

describe("progress", () => {
  test("of the digest is reported every 8 MiB", async () => {
    const whole = (length: number): Buffer => {
      const bytes = Buffer.alloc(length);
      bytes.set(snapshotBytes([write(1)], BARE));
      return bytes;
    };
    const hashed = async (length: number): Promise<readonly ReadProgress[]> => {
      const progress: ReadProgress[] = [];
      const { sha256 } = await open(whole(length), { progress });
      expect(sha256).toBe(new Bun.CryptoHasher("sha256").update(whole(length)).digest("hex"));
      return progress;
    };
    expect(await hashed(8 * MIB)).toEqual([{ phase: "hash", done: 0, total: 8 * MIB }]);
    expect(await hashed(8 * MIB + 4096)).toEqual([
      { phase: "hash", done: 0, total: 8 * MIB + 4096 },
      { phase: "hash", done: 8 * MIB, total: 8 * MIB + 4096 },
    ]);
  });

  test("of checking and counting is reported every 8,192 records, over all parts", async () => {
    const progress: ReadProgress[] = [];
    const snapshot = await open(marks(20_000), { progress, maxKeysPerWalk: 10_000 });
    await snapshot.read(PREFIX, SINK);
    expect(progress.slice(1)).toEqual([
      { phase: "check", done: 8192, total: 0 },
      { phase: "check", done: 16_384, total: 0 },
      { phase: "count", done: 8192, total: 40_000 },
      { phase: "count", done: 16_384, total: 40_000 },
      { phase: "count", done: 28_192, total: 40_000 },
      { phase: "count", done: 36_384, total: 40_000 },
    ]);
  });

  test.each([1, 2, 3, 4, 5])("is where an abort is seen: turn %i", async (stopAt) => {
    const progress: ReadProgress[] = [];
    const read = async (): Promise<void> => {
      const snapshot = await open(marks(20_000), { progress, stopAt });
      await snapshot.read(PREFIX, SINK);
    };
    await expect(read()).rejects.toThrow("stopped");
    expect(progress).toHaveLength(stopAt);
  });
});

test("a store that would need more than 4,096 walks is refused before the first", async () => {
  const read = async (records: number): Promise<void> => {
    const snapshot = await open(marks(records), { maxKeysPerWalk: 1 });
    await snapshot.read(PREFIX, {
      ...SINK,
      reset: () => {
        throw new Error("begun");
      },
    });
  };
  await expect(read(4096)).rejects.toThrow("begun");
  await expect(read(4097)).rejects.toMatchObject({ code: "too_many_groups" });
});
