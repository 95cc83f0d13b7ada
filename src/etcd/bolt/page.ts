/**
 * @module One branch or leaf page of a bbolt file: every offset and length is checked before it is used.
 * @see https://github.com/etcd-io/bbolt/blob/main/internal/common/page.go
 */
import { damagedSnapshot } from "../errors.ts";

export const PAGE_HEADER_BYTES = 16;
const ELEMENT_BYTES = 16;
const BRANCH_FLAG = 0x01;
const LEAF_FLAG = 0x02;
const BUCKET_ELEMENT_FLAG = 0x01;

export interface Page {
  readonly id: number;
  readonly kind: "branch" | "leaf";
  readonly count: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

interface BranchElement {
  readonly key: Uint8Array;
  readonly child: number;
}

export interface LeafElement {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  /** The value is the header of a bucket inside this one. */
  readonly isBucket: boolean;
}

/** How many further pages belong to the one whose first bytes these are. */
export function overflowOf(bytes: Uint8Array): number {
  return viewOf(bytes).getUint32(12, true);
}

/** The page with number `id` in its whole length. Throws AuditError `snapshot_damaged`. */
export function decodePage(bytes: Uint8Array, id: number): Page {
  const view = viewOf(bytes);
  const flags = view.getUint16(8, true);
  const count = view.getUint16(10, true);
  if (view.getBigUint64(0, true) !== BigInt(id)) {
    throw damagedPage(id, "carries another page's number");
  }
  if (flags !== BRANCH_FLAG && flags !== LEAF_FLAG) {
    throw damagedPage(id, "is neither a branch nor a leaf");
  }
  if (PAGE_HEADER_BYTES + count * ELEMENT_BYTES > bytes.length) {
    throw damagedPage(id, "lists more elements than it can hold");
  }
  if (flags === BRANCH_FLAG && count === 0) {
    throw damagedPage(id, "is a branch without children");
  }
  return { id, kind: flags === BRANCH_FLAG ? "branch" : "leaf", count, bytes, view };
}

/** The element at `index` of a branch page; views are valid as long as the page's bytes. */
export function branchElement(page: Page, index: number): BranchElement {
  const at = PAGE_HEADER_BYTES + index * ELEMENT_BYTES;
  const start = at + page.view.getUint32(at, true);
  const end = start + page.view.getUint32(at + 4, true);
  checkKeyRange(page, start, end);
  return { key: page.bytes.subarray(start, end), child: Number(page.view.getBigUint64(at + 8, true)) };
}

/** The element at `index` of a leaf page; views are valid as long as the page's bytes. */
export function leafElement(page: Page, index: number): LeafElement {
  const at = PAGE_HEADER_BYTES + index * ELEMENT_BYTES;
  const start = at + page.view.getUint32(at + 4, true);
  const keyEnd = start + page.view.getUint32(at + 8, true);
  const end = keyEnd + page.view.getUint32(at + 12, true);
  checkKeyRange(page, start, keyEnd);
  if (end > page.bytes.length) {
    throw damagedPage(page.id, "contains a value that reaches beyond the page");
  }
  return {
    key: page.bytes.subarray(start, keyEnd),
    value: page.bytes.subarray(keyEnd, end),
    isBucket: (page.view.getUint32(at, true) & BUCKET_ELEMENT_FLAG) !== 0,
  };
}

export function damagedPage(id: number, problem: string): Error {
  return damagedSnapshot(`page ${id} ${problem}`);
}

/** A key is never empty and never overlaps the header or the element table. */
function checkKeyRange({ id, count, bytes }: Page, start: number, end: number): void {
  if (start < PAGE_HEADER_BYTES + count * ELEMENT_BYTES || end <= start || end > bytes.length) {
    throw damagedPage(id, "contains a key that lies outside the page");
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
