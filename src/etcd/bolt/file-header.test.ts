import { describe, expect, test } from "bun:test";
import { memoryFile } from "../../../test/fakes/etcd/memory-file.ts";
import { type Meta, metaPage } from "../../../test/fakes/etcd/snapshot-bytes.ts";
import { AuditError } from "../errors.ts";
import { type BoltFile, openBolt } from "./file.ts";

const META: Meta = { pageBytes: 1024, rootPage: 3, pageCount: 4 };

/** A database of four pages, of which only the headers matter. */
function database(first: Partial<Meta>, second: Partial<Meta>, pageBytes = 1024): Buffer {
  const bytes = Buffer.alloc(4 * pageBytes);
  bytes.set(metaPage(0, { ...META, pageBytes, ...first }, pageBytes), 0);
  bytes.set(metaPage(1, { ...META, pageBytes, ...second }, pageBytes), pageBytes);
  return bytes;
}

function opened(bytes: Buffer, databaseBytes = bytes.length): Omit<BoltFile, "file"> | string {
  try {
    const { file: _, ...bolt } = openBolt(memoryFile(bytes), databaseBytes);
    return bolt;
  } catch (error) {
    if (error instanceof AuditError) {
      return `${error.code}: ${error.message}`;
    }
    throw error;
  }
}

describe("the header of the later transaction counts", () => {
  test.each<[bigint, bigint, number]>([
    [10n, 11n, 2],
    [11n, 10n, 3],
    [0n, 1n, 2],
    // As big-endian numbers these are the other way round.
    [0x1_00n, 0xffn, 3],
    [2n ** 64n - 1n, 2n ** 63n, 3],
  ])("%d and %d", (first, second, rootPage) => {
    const bytes = database(
      { transaction: first, rootPage: 3, pageCount: 4 },
      { transaction: second, rootPage: 2, pageCount: 4 },
    );
    expect(opened(bytes)).toEqual({ pageBytes: 1024, rootPage, pageCount: 4 });
  });

  test("two of one transaction contradict each other", () => {
    expect(opened(database({ transaction: 7n }, { transaction: 7n }))).toStartWith("snapshot_damaged");
  });

  test("two of different page sizes contradict each other", () => {
    expect(opened(database({}, { pageBytes: 2048 }))).toStartWith("snapshot_damaged");
  });
});

describe("page sizes", () => {
  test.each([1024, 2048, 4096, 8192, 16_384, 32_768, 65_536])("%i", (pageBytes) => {
    expect(opened(database({}, {}, pageBytes))).toMatchObject({ pageBytes });
  });

  test.each([0, 512, 1023, 1025, 3072, 131_072, 2 ** 31])("not %i", (pageBytes) => {
    expect(opened(database({ pageBytes }, {}))).toStartWith("snapshot_damaged");
  });
});

describe("the length of the database", () => {
  test("is at least what the header counts, the digest behind it aside", () => {
    expect(opened(database({}, { pageCount: 4 }))).toMatchObject({ pageCount: 4 });
    expect(opened(database({}, { pageCount: 3 }))).toMatchObject({ pageCount: 3 });
    expect(opened(database({}, { pageCount: 5 }))).toBe(
      "snapshot_truncated: the snapshot ends at byte 4096, but its own header needs 5120",
    );
    expect(opened(database({}, { pageCount: 2n ** 64n - 1n }))).toStartWith("snapshot_truncated");
    expect(opened(database({}, {}), 4095)).toStartWith("snapshot_truncated");
  });

  test.each([
    [0, 80],
    [79, 80],
    [80, 1104],
    [1103, 1104],
    [1104, 4096],
  ])("%i bytes: %i are needed", (length, needed) => {
    expect(opened(database({}, {}).subarray(0, length))).toBe(
      `snapshot_truncated: the snapshot ends at byte ${length}, but its own header needs ${needed}`,
    );
  });
});

describe("no header of bbolt", () => {
  test("another format", () => {
    expect(opened(database({ version: 1 }, {}))).toStartWith("snapshot_not_etcd");
    expect(opened(database({}, { version: 3 }))).toStartWith("snapshot_not_etcd");
  });

  test.each([
    ["number of the first page", 0, "snapshot_damaged"],
    ["number of the second page", 1024, "snapshot_damaged"],
    ["kind of the first page", 8, "snapshot_damaged"],
    ["kind of the second page", 1024 + 8, "snapshot_damaged"],
    ["magic of the first page", 16, "snapshot_not_etcd"],
    ["magic of the second page", 1024 + 16, "snapshot_damaged"],
    ["first byte under the checksum", 20, "snapshot_damaged"],
    ["last byte under the checksum", 71, "snapshot_damaged"],
    ["checksum of the first page", 72, "snapshot_damaged"],
    ["checksum of the second page", 1024 + 79, "snapshot_damaged"],
  ])("a changed %s", (_, at, code) => {
    const bytes = database({}, {});
    bytes[at] = (bytes[at] ?? 0) ^ 0x80;
    expect(opened(bytes)).toStartWith(code);
  });
});
