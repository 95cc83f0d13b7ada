/**
 * @module A bbolt file: bytes at a place in it, and its two header pages. A damaged header is refused: its pages may be in use again.
 * @see https://github.com/etcd-io/bbolt/blob/main/internal/common/meta.go
 */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { errnoOf } from "../../base/errno.ts";
import { auditError, damagedSnapshot, SNAPSHOT_ADVICE } from "../errors.ts";

/** Synchronous: a promise for each of millions of small reads would cost more than the read. */
export interface OpenFile {
  readonly sizeBytes: number;
  /** Fills `target` from `position`. Throws AuditError `snapshot_truncated` when the file ends before `target` is full. */
  readonly readAt: (target: Uint8Array, position: number) => void;
  /** Throws AuditError `snapshot_changed` when the file is not as it was when it was opened. */
  readonly assertUnchanged: () => void;
  readonly close: () => void;
}

/** Opens a regular file for reading. Throws AuditError `snapshot_unreadable`. */
export function openFile(path: string): OpenFile {
  const descriptor = openDescriptor(path);
  const state = fstatSync(descriptor, { bigint: true });
  if (!state.isFile()) {
    closeSync(descriptor);
    throw auditError("snapshot_unreadable", {
      message: "not a regular file",
      advice: "name the file that `etcdctl snapshot save` wrote",
    });
  }
  const sizeBytes = Number(state.size);
  return {
    sizeBytes,
    readAt: (target, position) => {
      let done = 0;
      while (done < target.length) {
        const count = readOnce(descriptor, target, done, position + done);
        if (count === 0) {
          throw truncated(position + target.length, sizeBytes);
        }
        done += count;
      }
    },
    assertUnchanged: () => {
      const now = fstatSync(descriptor, { bigint: true });
      if (now.size !== state.size || now.mtimeNs !== state.mtimeNs) {
        throw auditError("snapshot_changed", {
          message: "changed while it was read",
          advice: "take the snapshot with `etcdctl snapshot save`, or copy the file first",
        });
      }
    },
    close: () => closeSync(descriptor),
  };
}

function truncated(needed: number, sizeBytes: number): Error {
  return auditError("snapshot_truncated", {
    message: `the snapshot ends at byte ${sizeBytes}, but its own header needs ${needed}`,
    advice: SNAPSHOT_ADVICE,
  });
}

function openDescriptor(path: string): number {
  try {
    // O_NONBLOCK: a FIFO in the place of the file must not hang; it means nothing for a regular file.
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    throw auditError("snapshot_unreadable", {
      message: `cannot be opened (${errnoOf(cause) ?? "unknown reason"})`,
      advice: `check that it exists and that you may read it: ls -l ${path}`,
      cause,
    });
  }
}

function readOnce(descriptor: number, target: Uint8Array, at: number, position: number): number {
  try {
    return readSync(descriptor, target, at, target.length - at, position);
  } catch (cause) {
    throw auditError("snapshot_read_failed", {
      message: `cannot be read at byte ${position} (${errnoOf(cause) ?? "unknown reason"})`,
      advice: "copy the file to another disk and try again",
      cause,
    });
  }
}

const MAGIC = 0xed0cdaed;
const VERSION = 2;
/** In front of every page: id, flags, count, overflow. */
export const PAGE_HEADER_BYTES = 16;
/** With the page header: what is read of each of the two pages, the checksum last. */
const META_END = 80;
const CHECKSUM_OFFSET = 56;
const META_PAGE_FLAG = 0x04;
/** bbolt takes the machine's page size. */
const PAGE_SIZES: ReadonlySet<number> = new Set([1024, 2048, 4096, 8192, 16_384, 32_768, 65_536]);

export interface BoltFile {
  readonly file: Pick<OpenFile, "readAt" | "sizeBytes">;
  readonly pageBytes: number;
  /** The page of the root bucket, as the header gives it: nothing says that it is in the file. */
  readonly rootPage: number;
  /** One more than the highest page in use. */
  readonly pageCount: number;
}

type Meta = Omit<BoltFile, "file"> & { readonly transaction: bigint };

/**
 * Reads the headers of a bbolt file whose database takes the first `databaseBytes` of it.
 * Throws AuditError `snapshot_not_etcd`, `snapshot_truncated` or `snapshot_damaged`.
 */
export function openBolt(file: Pick<OpenFile, "readAt" | "sizeBytes">, databaseBytes: number): BoltFile {
  const first = readMeta(file, databaseBytes, 0, 0);
  const second = readMeta(file, databaseBytes, first.pageBytes, 1);
  if (second.pageBytes !== first.pageBytes || second.transaction === first.transaction) {
    throw damagedSnapshot("the two header pages contradict each other");
  }
  const { pageBytes, rootPage, pageCount } = first.transaction > second.transaction ? first : second;
  if (pageCount * pageBytes > databaseBytes) {
    throw truncated(pageCount * pageBytes, databaseBytes);
  }
  return { file, pageBytes, rootPage, pageCount };
}

function readMeta(
  file: Pick<OpenFile, "readAt" | "sizeBytes">,
  databaseBytes: number,
  position: number,
  pageId: number,
): Meta {
  if (position + META_END > databaseBytes) {
    throw truncated(position + META_END, databaseBytes);
  }
  const bytes = new Uint8Array(META_END);
  file.readAt(bytes, position);
  const header = new DataView(bytes.buffer);
  const meta = new DataView(bytes.buffer, PAGE_HEADER_BYTES);
  if (pageId === 0 && meta.getUint32(0, true) !== MAGIC) {
    throw auditError("snapshot_not_etcd", {
      message: "not an etcd database",
      advice: "name a file that `etcdctl snapshot save` wrote, or a copy of member/snap/db",
    });
  }
  if (
    header.getBigUint64(0, true) !== BigInt(pageId) ||
    header.getUint16(8, true) !== META_PAGE_FLAG ||
    meta.getUint32(0, true) !== MAGIC ||
    meta.getBigUint64(CHECKSUM_OFFSET, true) !==
      fnv1a64(bytes.subarray(PAGE_HEADER_BYTES, PAGE_HEADER_BYTES + CHECKSUM_OFFSET))
  ) {
    throw damagedSnapshot(`header page ${pageId} is damaged`);
  }
  if (meta.getUint32(4, true) !== VERSION) {
    throw auditError("snapshot_not_etcd", {
      message: `the file has bbolt format ${meta.getUint32(4, true)}; only format ${VERSION} is known`,
      advice: "take the snapshot with etcd 3.4 or newer",
    });
  }
  const pageBytes = meta.getUint32(8, true);
  if (!PAGE_SIZES.has(pageBytes)) {
    throw damagedSnapshot(`header page ${pageId} has an impossible page size`);
  }
  return {
    pageBytes,
    rootPage: Number(meta.getBigUint64(16, true)),
    pageCount: Number(meta.getBigUint64(40, true)),
    transaction: meta.getBigUint64(48, true),
  };
}

/** FNV-1a, 64 bits, as bbolt computes it over its header. @see https://www.rfc-editor.org/rfc/rfc9923 */
function fnv1a64(bytes: Uint8Array): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  }
  return hash;
}
