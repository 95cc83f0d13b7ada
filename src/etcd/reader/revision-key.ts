/**
 * @module The name of a record: main revision, `_`, position in the transaction, and `t` on a deletion.
 * @see https://github.com/etcd-io/etcd/blob/main/server/storage/mvcc/revision.go
 */
import { damagedSnapshot } from "../errors.ts";

const REVISION_BYTES = 17;
const SEPARATOR = 0x5f;
const TOMBSTONE_MARK = 0x74;

export interface RevisionKey {
  /** The revision of the store after this write. */
  readonly main: number;
  /** The key was deleted by this write. */
  readonly isDeletion: boolean;
}

/** Throws AuditError `snapshot_damaged` for what etcd never writes. */
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
