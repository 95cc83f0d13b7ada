import { describe, expect, test } from "bun:test";
import { branchNode, leafNode } from "../../../test/fakes/etcd/snapshot-bytes.ts";
import { branchElement, decodePage, leafElement, overflowOf } from "./tree.ts";

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const element = (key: string, value: string, flags = 0) => ({
  key: Buffer.from(key),
  value: Buffer.from(value),
  flags,
});
/** With the number 5, which is not in the first byte alone. */
function numbered(page: Buffer, id = 0x105): Buffer {
  page.writeBigUInt64LE(BigInt(id), 0);
  return page;
}
const damaged = expect.objectContaining({ code: "snapshot_damaged" });
const refused = (act: () => unknown): void => expect(act).toThrow(damaged);

describe("a leaf", () => {
  const bytes = (): Buffer =>
    numbered(leafNode([element("a", "one"), element("bc", ""), element("d", "x", 1)]));

  test("has keys, values and buckets", () => {
    const page = decodePage(bytes(), 0x105);
    expect(page).toMatchObject({ id: 0x105, kind: "leaf", count: 3 });
    const read = [0, 1, 2].map((index) => {
      const { key, value, isBucket } = leafElement(page, index);
      return [text(key), text(value), isBucket];
    });
    expect(read).toEqual([
      ["a", "one", false],
      ["bc", "", false],
      ["d", "x", true],
    ]);
  });

  test("may end with its last key", () => {
    expect(text(leafElement(decodePage(numbered(leafNode([element("key", "")])), 0x105), 0).key)).toBe("key");
  });

  test("may be empty and end with its header", () => {
    expect(decodePage(numbered(leafNode([])), 0x105).count).toBe(0);
  });

  test.each<[string, (page: Buffer) => void]>([
    ["another page's number", (page) => page.writeUInt8(4, 0)],
    ["another kind", (page) => page.writeUInt16LE(0x10, 8)],
    ["both kinds", (page) => page.writeUInt16LE(0x03, 8)],
    ["more elements than fit", (page) => page.writeUInt16LE(5, 10)],
  ])("with %s is refused", (_, change) => {
    const page = bytes();
    change(page);
    refused(() => decodePage(page, 0x105));
  });

  test.each<[string, (page: Buffer) => void]>([
    ["a key in the element table", (page) => page.writeUInt32LE(47, 16 + 4)],
    ["an empty key", (page) => page.writeUInt32LE(0, 16 + 8)],
    ["a key that ends beyond the page", (page) => page.writeUInt32LE(100, 16 + 8)],
    ["a key that begins beyond the page", (page) => page.writeUInt32LE(2 ** 32 - 1, 16 + 4)],
    ["a value that ends beyond the page", (page) => page.writeUInt32LE(9, 16 + 12)],
    ["a value of 4 GiB", (page) => page.writeUInt32LE(2 ** 32 - 1, 16 + 12)],
  ])("with %s is refused", (_, change) => {
    const page = bytes();
    change(page);
    refused(() => leafElement(decodePage(page, 0x105), 0));
  });

  test("bounds are exact: a key right behind the table, a value up to the page's end", () => {
    const page = bytes();
    page.writeUInt32LE(page.length - (64 + 1), 16 + 12);
    const { key, value } = leafElement(decodePage(page, 0x105), 0);
    expect([text(key), text(value)]).toEqual(["a", "onebcdx"]);
  });
});

describe("a branch", () => {
  const bytes = (): Buffer =>
    numbered(
      branchNode([
        { key: Buffer.from("a"), page: 7 },
        { key: Buffer.from("bc"), page: 2 ** 33 },
      ]),
    );

  test("has keys and children", () => {
    const page = decodePage(bytes(), 0x105);
    expect(page).toMatchObject({ kind: "branch", count: 2 });
    const read = [0, 1].map((index) => {
      const { key, child } = branchElement(page, index);
      return [text(key), child];
    });
    expect(read).toEqual([
      ["a", 7],
      ["bc", 2 ** 33],
    ]);
  });

  test("without children is refused", () => {
    refused(() => decodePage(numbered(branchNode([])), 0x105));
  });

  test.each<[string, (page: Buffer) => void]>([
    ["a key in the element table", (page) => page.writeUInt32LE(31, 16)],
    ["an empty key", (page) => page.writeUInt32LE(0, 20)],
    ["a key that ends beyond the page", (page) => page.writeUInt32LE(4, 20)],
  ])("with %s is refused", (_, change) => {
    const page = bytes();
    change(page);
    refused(() => branchElement(decodePage(page, 0x105), 0));
  });
});

test("the number of further pages", () => {
  const page = Buffer.alloc(16);
  page.writeUInt32LE(0x01020304, 12);
  expect(overflowOf(page)).toBe(0x01020304);
  // A view that begins inside its buffer.
  expect(overflowOf(Buffer.concat([Buffer.alloc(8), page]).subarray(8))).toBe(0x01020304);
});
