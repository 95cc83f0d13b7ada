/**
 * @module An etcd database file, and the newest state of every object in it. Memory does not grow with the number of objects.
 * @see https://etcd.io/docs/v3.6/op-guide/recovery/#snapshotting-the-keyspace
 */

import type { OpenFile } from "../bolt/file.ts";
import { type BoltFile, openBolt } from "../bolt/file.ts";
import { type Bucket, bucketOf, entriesDescending } from "../bolt/tree.ts";
import { auditError, damagedSnapshot, SNAPSHOT_ADVICE } from "../errors.ts";
import type { AuditSource } from "../evidence.ts";
import { type KeyDigestSet, keyDigestSet, MAX_KEYS_PER_SET } from "./key-digest-set.ts";
import type { EntrySink, ReadOptions, ReadProgress } from "./record.ts";
import { decodeKeyValue, decodeRevisionKey } from "./record.ts";

const HASH_BYTES = 32;
/** bbolt files are whole sectors; what etcdctl appends is not. */
const SECTOR_BYTES = 512;
const READ_BYTES = 1024 * 1024;
/** How many records are handled between two looks at the signal. */
const RECORDS_PER_TURN = 8192;
/** Far more than any store needs: a part holds hundreds of thousands of keys. */
const MAX_PARTS = 4096;
const COMPACTION_KEYS: ReadonlySet<string> = new Set(["scheduledCompactRev", "finishedCompactRev"]);

export interface Snapshot
  extends Pick<
    Extract<AuditSource, { kind: "snapshot" }>,
    "integrity" | "sha256" | "sizeBytes" | "revision"
  > {
  /** Writes that are still recorded, deletions and old states included. */
  readonly records: number;
  /** Hands over each object under `prefix` once, newest write first. */
  readonly read: (prefix: Uint8Array, sink: EntrySink) => Promise<void>;
}

interface SnapshotOptions extends ReadOptions {
  /** The most keys that are remembered at once, at most MAX_KEYS_PER_SET, which is the default. */
  readonly maxKeysPerWalk?: number;
}

/**
 * Checks a snapshot: its digest first, then every page and record of the `key` bucket. The file stays the caller's to
 * close. Throws AuditError.
 */
export async function openSnapshot(file: OpenFile, options: SnapshotOptions): Promise<Snapshot> {
  refuseCompressed(file);
  const hashed = file.sizeBytes % SECTOR_BYTES === HASH_BYTES;
  const databaseBytes = hashed ? file.sizeBytes - HASH_BYTES : file.sizeBytes;
  const bolt = openBolt(file, databaseBytes);
  if (databaseBytes % bolt.pageBytes !== 0) {
    throw auditError("snapshot_truncated", {
      message:
        "the snapshot does not end at the end of a page: it was truncated, or something was appended to it",
      advice: SNAPSHOT_ADVICE,
    });
  }
  const sha256 = await hashDatabase(file, databaseBytes, options);
  if (hashed) {
    checkAppendedHash(file, databaseBytes, sha256);
  }
  const buckets = topLevelBuckets(bolt);
  const { records, newest } = await checkRecords(bolt, buckets.key, options);
  file.assertUnchanged();
  return {
    integrity: hashed ? "verified" : "absent",
    sha256,
    sizeBytes: file.sizeBytes,
    revision: Math.max(newest, compactedRevision(bolt, buckets.meta)),
    records,
    read: async (prefix, sink) => {
      await addNewest(bolt, buckets.key, records, prefix, sink, options);
      file.assertUnchanged();
    },
  };
}

/** The first bytes of what snapshots are often packed with, and the command that unpacks it. */
const COMPRESSED: readonly (readonly [name: string, firstBytes: string, unpack: string])[] = [
  ["gzip", "1f8b", "gunzip FILE"],
  ["zstd", "28b52ffd", "unzstd FILE"],
  ["xz", "fd377a585a00", "unxz FILE"],
  ["bzip2", "425a68", "bunzip2 FILE"],
  ["zip", "504b0304", "unzip FILE"],
];
const MAGIC_BYTES = 6;

function refuseCompressed(file: OpenFile): void {
  if (file.sizeBytes < MAGIC_BYTES) {
    return;
  }
  const magic = new Uint8Array(MAGIC_BYTES);
  file.readAt(magic, 0);
  const first = Buffer.from(magic).toString("hex");
  for (const [name, firstBytes, unpack] of COMPRESSED) {
    if (first.startsWith(firstBytes)) {
      throw auditError("snapshot_compressed", {
        message: `the file is compressed with ${name}`,
        advice: `unpack it first: ${unpack}`,
      });
    }
  }
}

async function hashDatabase(
  file: OpenFile,
  databaseBytes: number,
  options: SnapshotOptions,
): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256");
  const buffer = new Uint8Array(READ_BYTES);
  for (let position = 0; position < databaseBytes; position += READ_BYTES) {
    const part = buffer.subarray(0, Math.min(READ_BYTES, databaseBytes - position));
    file.readAt(part, position);
    hasher.update(part);
    if (position % (READ_BYTES * 8) === 0) {
      await turn({ phase: "hash", done: position, total: databaseBytes }, options);
    }
  }
  return hasher.digest("hex");
}

function checkAppendedHash(file: OpenFile, databaseBytes: number, sha256: string): void {
  const appended = new Uint8Array(HASH_BYTES);
  file.readAt(appended, databaseBytes);
  if (Buffer.from(appended).toString("hex") !== sha256) {
    throw auditError("snapshot_hash_mismatch", {
      message: "the snapshot is damaged: the digest that etcdctl appended does not match the file",
      advice: `${SNAPSHOT_ADVICE}; \`etcdutl snapshot status\` refuses this file too`,
    });
  }
}

function topLevelBuckets(bolt: BoltFile): { readonly key: Bucket; readonly meta: Bucket | undefined } {
  const found = new Map<string, Bucket>();
  for (const { key, value, isBucket } of entriesDescending(bolt, { kind: "tree", rootPage: bolt.rootPage })) {
    if (isBucket) {
      found.set(Buffer.from(key).toString("latin1"), bucketOf(value));
    }
  }
  const key = found.get("key");
  if (key === undefined) {
    throw auditError("snapshot_not_etcd", {
      message: "the file is a bbolt database, but not one of etcd: it has no bucket `key`",
      advice: "name a file that `etcdctl snapshot save` wrote, or a copy of member/snap/db",
    });
  }
  return { key, meta: found.get("meta") };
}

/** After a compaction the newest record may be gone; the store's revision is then the compacted one. */
function compactedRevision(bolt: BoltFile, meta: Bucket | undefined): number {
  let revision = 0;
  for (const { key, value } of meta === undefined ? [] : entriesDescending(bolt, meta)) {
    if (COMPACTION_KEYS.has(Buffer.from(key).toString("latin1"))) {
      revision = Math.max(revision, decodeRevisionKey(value).main);
    }
  }
  return revision;
}

/** Walks and decodes everything once before anything is counted, so that damage at the end leaves no half a report. */
async function checkRecords(
  bolt: BoltFile,
  bucket: Bucket,
  options: SnapshotOptions,
): Promise<{ readonly records: number; readonly newest: number }> {
  let records = 0;
  let newest = 0;
  for (const { key, value, isBucket } of entriesDescending(bolt, bucket)) {
    const { main, isDeletion } = decodeRevisionKey(key);
    if (isBucket || !isRevisionMark(value)) {
      const { modRevision } = decodeKeyValue(value);
      if (isBucket || modRevision !== (isDeletion ? 0 : main)) {
        throw damagedSnapshot(`the record of revision ${main} belongs to another revision`);
      }
    } else if (isDeletion) {
      throw damagedSnapshot(`the deletion of revision ${main} names no key`);
    }
    newest = Math.max(newest, main);
    records += 1;
    if (records % RECORDS_PER_TURN === 0) {
      await turn({ phase: "check", done: records, total: 0 }, options);
    }
  }
  return { records, newest };
}

/**
 * Walks once for each part of the key space. Digests spread evenly over the parts; when names were chosen so
 * that one part still does not fit, everything starts again with twice as many.
 */
async function addNewest(
  bolt: BoltFile,
  bucket: Bucket,
  records: number,
  prefix: Uint8Array,
  sink: EntrySink,
  options: SnapshotOptions,
): Promise<void> {
  const { maxKeysPerWalk = MAX_KEYS_PER_SET } = options;
  const seen = keyDigestSet(Math.min(records, maxKeysPerWalk));
  for (let parts = Math.ceil(records / maxKeysPerWalk); parts <= MAX_PARTS; parts *= 2) {
    sink.reset();
    let isComplete = true;
    for (let part = 0; part < parts && isComplete; part++) {
      seen.restart(part, parts);
      const onTurn = (walked: number): Promise<void> =>
        turn({ phase: "count", done: part * records + walked, total: parts * records }, options);
      isComplete = await walkPart(entriesDescending(bolt, bucket), prefix, sink, seen, onTurn);
    }
    if (isComplete) {
      return;
    }
  }
  throw auditError("too_many_groups", {
    message: "the snapshot has more keys than can be counted in bounded memory",
    advice: "audit a part of it with --etcd-prefix",
  });
}

/** Adds the newest state of each key of one part; false when there were more keys than fit. */
async function walkPart(
  entries: ReturnType<typeof entriesDescending>,
  prefix: Uint8Array,
  sink: EntrySink,
  seen: KeyDigestSet,
  onTurn: (walked: number) => Promise<void>,
): Promise<boolean> {
  let walked = 0;
  for (const record of entries) {
    if (!isRevisionMark(record.value)) {
      const entry = decodeKeyValue(record.value);
      const added = startsWith(entry.key, prefix) ? seen.add(entry.key) : "not_mine";
      if (added === "full") {
        return false;
      }
      if (added === "new" && entry.modRevision !== 0) {
        sink.add(entry);
      }
    }
    walked += 1;
    if (walked % RECORDS_PER_TURN === 0) {
      await onTurn(walked);
    }
  }
  return true;
}

/** Reports how far a long read has come, and lets others run. @throws the signal's reason. */
async function turn(progress: ReadProgress, { clock, signal, onProgress }: SnapshotOptions): Promise<void> {
  onProgress(progress);
  await clock.sleep(0, signal);
}

/**
 * `etcdutl snapshot restore --bump-revision` raises the revision by a record without content, and no write leaves one.
 * @see https://etcd.io/docs/v3.6/op-guide/recovery/#restoring-with-revision-bump
 */
function isRevisionMark(value: Uint8Array): boolean {
  return value.length === 0;
}

function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  return bytes.length > prefix.length && Buffer.compare(bytes.subarray(0, prefix.length), prefix) === 0;
}
