import { describe, expect, test } from "bun:test";
import { memoryFile } from "../../../test/fakes/etcd/memory-file.ts";
import { branchNode, bucketHeader, leafNode } from "../../../test/fakes/etcd/snapshot-bytes.ts";
import { AuditError } from "../errors.ts";
import type { BoltFile } from "./file.ts";
import { type Bucket, bucketOf, entriesDescending } from "./tree.ts";

const PAGE_BYTES = 1024;

const leaf = (...keys: readonly string[]): Buffer =>
  leafNode(keys.map((key) => ({ key: Buffer.from(key), value: Buffer.from(`v${key}`), flags: 0 })));
const branch = (...children: readonly (readonly [key: string, page: number])[]): Buffer =>
  branchNode(children.map(([key, page]) => ({ key: Buffer.from(key), page })));

/** The nodes at pages 2, 3, …; one that is longer than a page takes the pages behind it. */
function boltOf(nodes: readonly Buffer[], pageBytes = PAGE_BYTES): BoltFile {
  const pages: Buffer[] = [Buffer.alloc(2 * pageBytes)];
  for (const node of nodes) {
    const id = pages.reduce((sum, { length }) => sum + length, 0) / pageBytes;
    const padded = Buffer.alloc(Math.ceil(node.length / pageBytes) * pageBytes);
    node.copy(padded);
    padded.writeBigUInt64LE(BigInt(id), 0);
    padded.writeUInt32LE(padded.length / pageBytes - 1, 12);
    pages.push(padded);
  }
  const bytes = Buffer.concat(pages);
  return { file: memoryFile(bytes), pageBytes, rootPage: 2, pageCount: bytes.length / pageBytes };
}

/** The keys in the order of the walk, or the code with which it ends. */
function walk(bolt: BoltFile, bucket: Bucket = { kind: "tree", rootPage: 2 }): readonly string[] | string {
  try {
    return Array.from(entriesDescending(bolt, bucket), ({ key }) => Buffer.from(key).toString());
  } catch (error) {
    if (error instanceof AuditError) {
      return error.code;
    }
    throw error;
  }
}

describe("a walk", () => {
  test("of a leaf, of branches and of a node of several pages is last key first", () => {
    expect(walk(boltOf([leaf()]))).toEqual([]);
    expect(walk(boltOf([leaf("a", "b")]))).toEqual(["b", "a"]);
    const long = `d${"x".repeat(5000)}`;
    const bolt = boltOf([branch(["a", 3], ["d", 4]), leaf("a", "b"), leaf("d", long)]);
    expect(walk(bolt)).toEqual([long, "d", "b", "a"]);
    const deep = boltOf([
      branch(["a", 3], ["m", 4]),
      branch(["a", 5], ["c", 6]),
      branch(["m", 7]),
      leaf("a"),
      leaf("c", "k"),
      leaf("m"),
    ]);
    expect(walk(deep)).toEqual(["m", "k", "c", "a"]);
  });

  test("keeps its buffer: a node of several pages, then a shorter one on the same level", () => {
    const long = `d${"x".repeat(5000)}`;
    expect(walk(boltOf([branch(["a", 3], ["b", 4]), leaf("a"), leaf("b", long)]))).toEqual([long, "b", "a"]);
    expect(walk(boltOf([branch(["a", 3], ["e", 13]), leaf("a", long), leaf("e")]))).toEqual(["e", long, "a"]);
  });

  test("a leaf's first key may be above its separator, as after deletions", () => {
    expect(walk(boltOf([branch(["a", 3], ["d", 4]), leaf("c"), leaf("e")]))).toEqual(["e", "c"]);
  });
});

describe("keys out of order are damage", () => {
  test.each<[string, readonly Buffer[]]>([
    ["in a leaf", [leaf("b", "a")]],
    ["twice in a leaf", [leaf("a", "a")]],
    ["in a branch", [branch(["b", 3], ["a", 4]), leaf("b"), leaf("b")]],
    ["in a branch, above leaves without entries", [branch(["b", 3], ["a", 4]), leaf(), leaf()]],
    ["twice in a branch", [branch(["a", 3], ["a", 4]), leaf("a"), leaf("a")]],
    ["a leaf below its separator", [branch(["b", 3]), leaf("a", "c")]],
    [
      "a leaf that reaches its right neighbour's separator",
      [branch(["a", 3], ["c", 4]), leaf("a", "c"), leaf("d")],
    ],
    [
      "a branch below its parent's separator",
      [branch(["b", 3]), branch(["a", 4], ["c", 5]), leaf("b"), leaf("c")],
    ],
    [
      "a branch that reaches its parent's right neighbour",
      [branch(["a", 3], ["c", 4]), branch(["a", 5], ["c", 6]), leaf("d"), leaf("a"), leaf("c")],
    ],
    [
      "a leaf that reaches the neighbour of the branch above it",
      [branch(["a", 3], ["c", 4]), branch(["a", 5], ["b", 6]), leaf("d"), leaf("a"), leaf("b", "c")],
    ],
  ])("%s", (_, nodes) => {
    expect(walk(boltOf(nodes))).toBe("snapshot_damaged");
  });
});

describe("pages", () => {
  test.each([0, 1, 4, 2 ** 53])("%i is outside of a file whose nodes are 2 and 3", (page) => {
    const bolt = boltOf([branch(["a", page]), leaf("a")]);
    expect(walk(bolt)).toBe("snapshot_damaged");
    expect(walk(bolt, { kind: "tree", rootPage: page })).toBe("snapshot_damaged");
  });

  test("none is entered twice in one walk, in whichever byte of the list it is", () => {
    const at = (page: number): Buffer[] => Array.from({ length: page - 3 }, () => leaf("x"));
    for (const page of [3, 7, 8, 9, 15, 16]) {
      const nodes = [branch(["a", page], ["b", page]), ...at(page), leaf()];
      expect(walk(boltOf(nodes))).toBe("snapshot_damaged");
      const other = [branch(["a", page], ["b", page + 1]), ...at(page), leaf("a"), leaf("b")];
      expect(walk(boltOf(other))).toEqual(["b", "a"]);
    }
  });

  test("the further pages of a node belong to it alone", () => {
    const long = `b${"x".repeat(1500)}`;
    const bolt = boltOf([branch(["a", 4], ["b", 3]), leaf("b", long)]);
    expect(walk(bolt)).toBe("snapshot_damaged");
  });

  test("a node ends with the file at the latest", () => {
    const claims = (more: number): BoltFile => {
      const bytes = Buffer.alloc(4 * PAGE_BYTES);
      const node = leaf("a");
      node.writeBigUInt64LE(2n, 0);
      node.writeUInt32LE(more, 12);
      bytes.set(node, 2 * PAGE_BYTES);
      return { file: memoryFile(bytes), pageBytes: PAGE_BYTES, rootPage: 2, pageCount: 4 };
    };
    expect(walk(claims(1))).toEqual(["a"]);
    expect(walk(claims(2))).toBe("snapshot_damaged");
    expect(walk(claims(2 ** 32 - 1))).toBe("snapshot_damaged");
  });

  test("a node has 64 MiB at most, in a file of any size", () => {
    const pageBytes = 65_536;
    const withPages = (pages: number): BoltFile => {
      const node = leaf("a");
      node.writeBigUInt64LE(2n, 0);
      node.writeUInt32LE(pages - 1, 12);
      return {
        file: {
          sizeBytes: 5000 * pageBytes,
          readAt: (target, position) => target.set(position === 2 * pageBytes ? node : []),
        },
        pageBytes,
        rootPage: 2,
        pageCount: 5000,
      };
    };
    expect(walk(withPages(1024))).toEqual(["a"]);
    expect(walk(withPages(1025))).toBe("snapshot_damaged");
  });

  test("a tree has 32 levels at most", () => {
    const levels = (count: number): BoltFile =>
      boltOf([...Array.from({ length: count - 1 }, (_, n) => branch(["a", n + 3])), leaf("a")]);
    expect(walk(levels(32))).toEqual(["a"]);
    expect(walk(levels(33))).toBe("snapshot_damaged");
  });
});

describe("a bucket", () => {
  const none: BoltFile = {
    file: memoryFile(Buffer.alloc(0)),
    pageBytes: PAGE_BYTES,
    rootPage: 0,
    pageCount: 0,
  };
  const inline = (page: Buffer): Bucket => bucketOf(Buffer.concat([bucketHeader(0), page]));

  test("is a tree, or a leaf in its own header", () => {
    expect(bucketOf(bucketHeader(0x1_0000_0001))).toEqual({ kind: "tree", rootPage: 0x1_0000_0001 });
    expect(walk(none, inline(leaf("a", "b")))).toEqual(["b", "a"]);
    expect(walk(none, inline(leaf()))).toEqual([]);
    // A view that begins inside its buffer.
    expect(bucketOf(Buffer.concat([Buffer.alloc(8, 7), bucketHeader(3)]).subarray(8))).toEqual({
      kind: "tree",
      rootPage: 3,
    });
  });

  test("shorter than its header is damage", () => {
    expect(() => bucketOf(bucketHeader(3).subarray(0, 15))).toThrow(AuditError);
    expect(walk(none, inline(Buffer.alloc(15)))).toBe("snapshot_damaged");
    expect(walk(none, inline(Buffer.alloc(0)))).toBe("snapshot_damaged");
  });

  test("in its own header is a single leaf", () => {
    const long = leaf("a");
    long.writeUInt32LE(1, 12);
    expect(walk(none, inline(long))).toBe("snapshot_damaged");
    expect(walk(none, inline(branch(["a", 2])))).toBe("snapshot_damaged");
  });
});
