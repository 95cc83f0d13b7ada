/**
 * @module One object as etcd stores it, its record in a snapshot, and the sink that both readers fill.
 * @see https://github.com/etcd-io/etcd/blob/main/server/storage/mvcc/revision.go
 */

import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import type { Clock } from "../../base/clock.ts";
import { damagedSnapshot } from "../errors.ts";

/** Views into a buffer that is used again: valid only during the call that hands the entry over. */
interface StoredEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  /** The revision that wrote it, in Kubernetes its resourceVersion; 0 in the record of a deletion, which has only a key. */
  readonly modRevision: number;
}

export interface EntrySink {
  /** A read begins; what was added before is void (a live read starts again when its revision was compacted). */
  readonly reset: () => void;
  readonly add: (entry: StoredEntry) => void;
}

/** How far a long read has come. */
export interface ReadProgress {
  readonly phase: "hash" | "check" | "count";
  readonly done: number;
  /** In the unit of `done`: bytes while hashing, records otherwise. 0 while it is not known. */
  readonly total: number;
}

export interface ReadOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: ReadProgress) => void;
}

const REVISION_BYTES = 17;
const SEPARATOR = 0x5f;
const TOMBSTONE_MARK = 0x74;

interface RevisionKey {
  /** The revision of the store after this write. */
  readonly main: number;
  /** The key was deleted by this write. */
  readonly isDeletion: boolean;
}

/**
 * The name of a record: main revision, `_`, position in the transaction, and `t` on a deletion.
 * Throws AuditError `snapshot_damaged` for what etcd never writes.
 */
export function decodeRevisionKey(bytes: Uint8Array): RevisionKey {
  const isDeletion = bytes.length === REVISION_BYTES + 1 && bytes[REVISION_BYTES] === TOMBSTONE_MARK;
  if ((bytes.length !== REVISION_BYTES && !isDeletion) || bytes[8] !== SEPARATOR) {
    throw damagedSnapshot("an entry of the key bucket is not named by a revision");
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const main = view.getUint32(0) * 0x1_0000_0000 + view.getUint32(4);
  if (!Number.isSafeInteger(main) || main === 0) {
    throw damagedSnapshot("an entry of the key bucket carries an impossible revision");
  }
  return { main, isDeletion };
}

const KEY = 1;
const MOD_REVISION = 3;
const VALUE = 5;
const LEASE = 6;
/** By field number: key, create_revision, mod_revision, version, value, lease. */
const WIRE_TYPE_OF: readonly (WireType | undefined)[] = [
  undefined,
  WireType.LengthDelimited,
  WireType.Varint,
  WireType.Varint,
  WireType.Varint,
  WireType.LengthDelimited,
  WireType.Varint,
];
const EMPTY: Uint8Array = new Uint8Array();

/** Throws AuditError `snapshot_damaged` for what etcd never writes. */
export function decodeKeyValue(bytes: Uint8Array): StoredEntry {
  const reader = new BinaryReader(bytes);
  let key: Uint8Array = EMPTY;
  let value: Uint8Array = EMPTY;
  let modRevision = 0;
  let last = 0;
  try {
    while (reader.pos < reader.len) {
      const [field, wireType] = reader.tag();
      // etcd writes each field at most once and in order; a repeated or misplaced one is a sign of damage.
      if (field <= last || wireType !== WIRE_TYPE_OF[field]) {
        throw new RangeError("misplaced field");
      }
      last = field;
      if (field === KEY) {
        key = reader.bytes();
      } else if (field === VALUE) {
        value = reader.bytes();
      } else {
        const number = Number(reader.int64());
        if (field !== LEASE && !(number > 0 && Number.isSafeInteger(number))) {
          throw new RangeError("impossible number");
        }
        modRevision = field === MOD_REVISION ? number : modRevision;
      }
    }
    if (key.length === 0) {
      throw new RangeError("no key");
    }
  } catch {
    // The reader throws on a varint that is too long and on a length that reaches beyond the bytes.
    throw damagedSnapshot("an entry of the key bucket is not an etcd record");
  }
  return { key, value, modRevision };
}
