/**
 * @module The entries of a bbolt bucket, last key first. Every offset is checked before it is used; a page is entered once.
 * @see https://github.com/etcd-io/bbolt/blob/main/internal/common/page.go
 */
import { damagedSnapshot } from "../errors.ts";
import { type BoltFile, PAGE_HEADER_BYTES } from "./file.ts";

/** A tree of 2^32 pages with the smallest fan-out in use is far below this. */
const MAX_DEPTH = 32;
/** The largest node that is read as one piece; etcd's default limit of one request is 1.5 MiB. */
const MAX_NODE_BYTES = 64 * 1024 * 1024;
const BUCKET_HEADER_BYTES = 16;

export type Bucket =
  | { readonly kind: "tree"; readonly rootPage: number }
  /** A small bucket: its only page lies inside its parent's value. */
  | { readonly kind: "inline"; readonly page: Uint8Array };

/** A page between the root and the current entry; all its keys are at least `floor` and below `ceiling`. */
interface Step {
  readonly page: Page;
  readonly floor: Uint8Array | undefined;
  readonly ceiling: Uint8Array | undefined;
  /** Elements below this index are still to be visited. */
  next: number;
}

/** The bucket whose header is the value of a bucket element. Throws AuditError `snapshot_damaged`. */
export function bucketOf(value: Uint8Array): Bucket {
  if (value.length < BUCKET_HEADER_BYTES) {
    throw damagedSnapshot("a bucket header is too short");
  }
  const root = new DataView(value.buffer, value.byteOffset).getBigUint64(0, true);
  return root === 0n
    ? { kind: "inline", page: value.slice(BUCKET_HEADER_BYTES) }
    : { kind: "tree", rootPage: Number(root) };
}

/**
 * All entries in descending order of their keys. An entry's views are valid until the next one is asked for.
 * Throws AuditError `snapshot_damaged` or `snapshot_truncated` at the first contradiction.
 */
export function* entriesDescending(bolt: BoltFile, bucket: Bucket): Generator<LeafElement, void> {
  const readPage = pageReader(bolt);
  const root = bucket.kind === "tree" ? readPage(bucket.rootPage, 0) : inlinePage(bucket.page);
  const path: Step[] = [{ page: root, floor: undefined, ceiling: undefined, next: root.count }];
  for (let step = path.at(-1); step !== undefined; step = path.at(-1)) {
    if (step.page.kind === "leaf") {
      yield* leafDescending(step);
      path.pop();
    } else if (step.next === 0) {
      path.pop();
    } else {
      path.push(lastUnvisitedChild(step, (child) => readPage(child, path.length)));
    }
  }
}

function* leafDescending({ page, floor, ceiling }: Step): Generator<LeafElement, void> {
  let above = ceiling;
  for (let index = page.count - 1; index >= 0; index--) {
    const element = leafElement(page, index);
    checkBelow(page, element.key, above);
    above = element.key;
    if (index === 0) {
      checkNotBelow(page, element.key, floor);
    }
    yield element;
  }
}

function lastUnvisitedChild(parent: Step, readChild: (id: number) => Page): Step {
  const { page } = parent;
  const ceiling = parent.next === page.count ? parent.ceiling : branchElement(page, parent.next).key;
  parent.next -= 1;
  const { key: floor, child } = branchElement(page, parent.next);
  checkBelow(page, floor, ceiling);
  if (parent.next === 0) {
    checkNotBelow(page, floor, parent.floor);
  }
  const childPage = readChild(child);
  return { page: childPage, floor, ceiling, next: childPage.count };
}

function checkBelow(page: Page, key: Uint8Array, ceiling: Uint8Array | undefined): void {
  if (ceiling !== undefined && Buffer.compare(key, ceiling) >= 0) {
    throw damagedPage(page.id, "contains keys out of order");
  }
}

function checkNotBelow(page: Page, key: Uint8Array, floor: Uint8Array | undefined): void {
  if (floor !== undefined && Buffer.compare(key, floor) < 0) {
    throw damagedPage(page.id, "contains keys below the bound of its parent");
  }
}

/** Reads pages into one buffer per level, which grows to the largest page met on that level. */
function pageReader({ file, pageBytes, pageCount }: BoltFile): (id: number, level: number) => Page {
  const entered = new Uint8Array(Math.ceil(pageCount / 8));
  const buffers: Uint8Array[] = [];
  const enter = (id: number): void => {
    const byte = entered[id >>> 3] ?? 0;
    const bit = 1 << (id & 7);
    if ((byte & bit) !== 0) {
      throw damagedPage(id, "is reached twice");
    }
    entered[id >>> 3] = byte | bit;
  };
  return (id, level) => {
    if (!(id >= 2 && id < pageCount)) {
      throw damagedSnapshot("a page outside the file is named");
    }
    if (level >= MAX_DEPTH) {
      throw damagedPage(id, `lies more than ${MAX_DEPTH} levels deep`);
    }
    let buffer = buffers[level] ?? new Uint8Array(pageBytes);
    file.readAt(buffer.subarray(0, pageBytes), id * pageBytes);
    const overflow = overflowOf(buffer);
    const nodeBytes = (overflow + 1) * pageBytes;
    if (id + overflow >= pageCount || nodeBytes > MAX_NODE_BYTES) {
      throw damagedPage(id, "claims more pages than there are");
    }
    for (let part = id; part <= id + overflow; part++) {
      enter(part);
    }
    if (nodeBytes > buffer.length) {
      const larger = new Uint8Array(nodeBytes);
      larger.set(buffer.subarray(0, pageBytes));
      buffer = larger;
    }
    file.readAt(buffer.subarray(pageBytes, nodeBytes), (id + 1) * pageBytes);
    buffers[level] = buffer;
    return decodePage(buffer.subarray(0, nodeBytes), id);
  };
}

/** An inline page has no place of its own: its number is 0 and it has neither overflow nor children. */
function inlinePage(bytes: Uint8Array): Page {
  if (bytes.length < PAGE_HEADER_BYTES) {
    throw damagedSnapshot("an inline bucket is too short");
  }
  const page = decodePage(bytes, 0);
  if (page.kind !== "leaf" || overflowOf(bytes) !== 0) {
    throw damagedSnapshot("an inline bucket is not a single leaf");
  }
  return page;
}

const ELEMENT_BYTES = 16;
const BRANCH_FLAG = 0x01;
const LEAF_FLAG = 0x02;
const BUCKET_ELEMENT_FLAG = 0x01;

interface Page {
  readonly id: number;
  readonly kind: "branch" | "leaf";
  readonly count: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

interface LeafElement {
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
export function branchElement(
  page: Page,
  index: number,
): { readonly key: Uint8Array; readonly child: number } {
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

function damagedPage(id: number, problem: string): Error {
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
