/** @module An etcd database in memory, as bbolt lays it out. */
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

export interface Write {
  /** Empty without a value: the mark of `etcdutl snapshot restore --bump-revision`. */
  readonly key: string;
  /** Absent: the key is deleted. */
  readonly value?: Uint8Array;
}

export interface SnapshotLayout {
  readonly pageBytes: number;
  /** With the digest behind it, as `etcdctl snapshot save` writes it. */
  readonly hashed: boolean;
  /** The revision of the last compaction; absent, 1. */
  readonly compacted?: { readonly scheduled: bigint; readonly finished: bigint };
}

export interface Element {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly flags: number;
}

export interface Child {
  readonly key: Uint8Array;
  readonly page: number;
}

const HEADER_BYTES = 16;
const ELEMENT_BYTES = 16;
const FIRST_DATA_PAGE = 3;

/** The file after the writes, each at a revision of its own from 2 on. */
export function snapshotBytes(
  writes: readonly Write[],
  { pageBytes, hashed, compacted = { scheduled: 1n, finished: 1n } }: SnapshotLayout = {
    pageBytes: 4096,
    hashed: true,
  },
): Uint8Array {
  const pages: Buffer[] = [];
  const place = (node: Buffer): number => {
    const id = FIRST_DATA_PAGE + pages.reduce((sum, page) => sum + page.length / pageBytes, 0);
    const padded = Buffer.alloc(Math.ceil(node.length / pageBytes) * pageBytes);
    node.copy(padded);
    padded.writeBigUInt64LE(BigInt(id), 0);
    padded.writeUInt32LE(padded.length / pageBytes - 1, 12);
    pages.push(padded);
    return id;
  };
  const keyRoot = placeTree(writes.map(record), pageBytes, place);
  const rootPage = place(
    leafNode([
      { key: Buffer.from("key"), value: bucketHeader(keyRoot), flags: 1 },
      { key: Buffer.from("meta"), value: inlineMeta(compacted), flags: 1 },
    ]),
  );
  const pageCount = FIRST_DATA_PAGE + pages.reduce((sum, page) => sum + page.length / pageBytes, 0);
  const headers = [0, 1].map((id) => metaPage(id, { pageBytes, rootPage, pageCount }));
  const freelist = Buffer.alloc(pageBytes);
  freelist.writeBigUInt64LE(2n, 0);
  freelist.writeUInt16LE(0x10, 8);
  const database = Buffer.concat([...headers, freelist, ...pages]);
  return hashed ? withDigest(database) : database;
}

/** `database` with the digest that belongs to it. */
export function withDigest(database: Uint8Array): Uint8Array {
  return Buffer.concat([database, new Bun.CryptoHasher("sha256").update(database).digest()]);
}

function record({ key, value }: Write, index: number): Element {
  const revision = BigInt(index + 2);
  const isMark = key === "" && value === undefined;
  const name = Buffer.alloc(value === undefined && !isMark ? 18 : 17);
  name.writeBigUInt64BE(revision, 0);
  name.write("_", 8);
  if (isMark) {
    return { key: name, value: new Uint8Array(), flags: 0 };
  }
  if (value === undefined) {
    name.write("t", 17);
  }
  const writer = new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(Buffer.from(key));
  if (value !== undefined) {
    writer.tag(2, WireType.Varint).int64(revision).tag(3, WireType.Varint).int64(revision);
    writer.tag(4, WireType.Varint).int64(1n).tag(5, WireType.LengthDelimited).bytes(value);
  }
  return { key: name, value: writer.finish(), flags: 0 };
}

function placeTree(elements: readonly Element[], pageBytes: number, place: (node: Buffer) => number): number {
  let level: readonly Child[] = chunks(
    elements,
    pageBytes,
    ({ key, value }) => key.length + value.length,
  ).map((part) => ({ key: part[0]?.key ?? Buffer.of(), page: place(leafNode(part)) }));
  if (level.length === 0) {
    return place(leafNode([]));
  }
  while (level.length > 1) {
    level = chunks(level, pageBytes, ({ key }) => key.length).map((part) => ({
      key: part[0]?.key ?? Buffer.of(),
      page: place(branchNode(part)),
    }));
  }
  return level[0]?.page ?? 0;
}

/** Runs of at least two elements, closed when they fill a page. */
function chunks<T>(items: readonly T[], pageBytes: number, size: (item: T) => number): T[][] {
  const parts: T[][] = [];
  let part: T[] = [];
  let bytes = HEADER_BYTES;
  for (const item of items) {
    if (part.length >= 2 && bytes + ELEMENT_BYTES + size(item) > pageBytes) {
      parts.push(part);
      part = [];
      bytes = HEADER_BYTES;
    }
    part.push(item);
    bytes += ELEMENT_BYTES + size(item);
  }
  return part.length > 0 ? [...parts, part] : parts;
}

export function leafNode(elements: readonly Element[]): Buffer {
  const head = Buffer.alloc(HEADER_BYTES + elements.length * ELEMENT_BYTES);
  head.writeUInt16LE(0x02, 8);
  head.writeUInt16LE(elements.length, 10);
  let at = head.length;
  for (const [index, { key, value, flags }] of elements.entries()) {
    const element = HEADER_BYTES + index * ELEMENT_BYTES;
    head.writeUInt32LE(flags, element);
    head.writeUInt32LE(at - element, element + 4);
    head.writeUInt32LE(key.length, element + 8);
    head.writeUInt32LE(value.length, element + 12);
    at += key.length + value.length;
  }
  return Buffer.concat([head, ...elements.flatMap(({ key, value }) => [key, value])]);
}

export function branchNode(children: readonly Child[]): Buffer {
  const head = Buffer.alloc(HEADER_BYTES + children.length * ELEMENT_BYTES);
  head.writeUInt16LE(0x01, 8);
  head.writeUInt16LE(children.length, 10);
  let at = head.length;
  for (const [index, { key, page }] of children.entries()) {
    const element = HEADER_BYTES + index * ELEMENT_BYTES;
    head.writeUInt32LE(at - element, element);
    head.writeUInt32LE(key.length, element + 4);
    head.writeBigUInt64LE(BigInt(page), element + 8);
    at += key.length;
  }
  return Buffer.concat([head, ...children.map(({ key }) => key)]);
}

export function bucketHeader(rootPage: number): Buffer {
  const header = Buffer.alloc(16);
  header.writeBigUInt64LE(BigInt(rootPage), 0);
  return header;
}

function inlineMeta({ scheduled, finished }: NonNullable<SnapshotLayout["compacted"]>): Buffer {
  const revision = (main: bigint): Buffer => {
    const bytes = Buffer.alloc(17);
    bytes.writeBigUInt64BE(main);
    bytes.write("_", 8);
    return bytes;
  };
  return Buffer.concat([
    bucketHeader(0),
    leafNode([
      { key: Buffer.from("consistent_index"), value: Buffer.alloc(8, 7), flags: 0 },
      { key: Buffer.from("finishedCompactRev"), value: revision(finished), flags: 0 },
      { key: Buffer.from("scheduledCompactRev"), value: revision(scheduled), flags: 0 },
    ]),
  ]);
}

/** What a header page says, beyond what bbolt writes in every one. */
export interface Meta {
  readonly pageBytes: number;
  readonly rootPage: number | bigint;
  readonly pageCount: number | bigint;
  readonly transaction?: bigint;
  readonly version?: number;
}

/** Header page 0 or 1, in `sizeBytes` bytes, with its checksum. */
export function metaPage(
  id: number,
  { pageBytes, rootPage, pageCount, transaction = BigInt(10 + id), version = 2 }: Meta,
  sizeBytes = pageBytes,
): Buffer {
  const page = Buffer.alloc(sizeBytes);
  page.writeBigUInt64LE(BigInt(id), 0);
  page.writeUInt16LE(0x04, 8);
  page.writeUInt32LE(0xed0cdaed, 16);
  page.writeUInt32LE(version, 20);
  page.writeUInt32LE(pageBytes, 24);
  page.writeBigUInt64LE(BigInt(rootPage), 32);
  page.writeBigUInt64LE(2n, 48);
  page.writeBigUInt64LE(BigInt(pageCount), 56);
  page.writeBigUInt64LE(transaction, 64);
  page.writeBigUInt64LE(fnv1a64(page.subarray(16, 72)), 72);
  return page;
}

function fnv1a64(bytes: Uint8Array): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  }
  return hash;
}
