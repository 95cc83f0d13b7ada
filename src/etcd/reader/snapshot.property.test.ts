import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { memoryFile } from "../../../test/fakes/etcd/memory-file.ts";
import { metaPage, snapshotBytes, type Write, withDigest } from "../../../test/fakes/etcd/snapshot-bytes.ts";
import { systemClock } from "../../base/clock.ts";
import type { OpenFile } from "../bolt/file.ts";
import { AuditError } from "../errors.ts";
import { openSnapshot } from "./snapshot.ts";

const PREFIX = Buffer.from("/registry/");

/** What the snapshot holds, or the code with which it is refused. */
async function contentOf(bytes: Uint8Array, maxKeysPerWalk = 1000): Promise<Record<string, string> | string> {
  try {
    const snapshot = await openSnapshot(memoryFile(bytes), {
      clock: { ...systemClock, sleep: () => Promise.resolve() },
      signal: new AbortController().signal,
      onProgress: () => {},
      maxKeysPerWalk,
    });
    let content: Record<string, string> = {};
    await snapshot.read(PREFIX, {
      reset: () => {
        content = {};
      },
      add: ({ key, value }) => {
        const name = Buffer.from(key).toString();
        expect(Object.hasOwn(content, name)).toBe(false);
        content[name] = Buffer.from(value).toString("hex");
      },
    });
    return content;
  } catch (error) {
    if (error instanceof AuditError) {
      return error.code;
    }
    throw error;
  }
}

const key = fc.oneof(
  { weight: 9, arbitrary: fc.integer({ min: 0, max: 40 }).map((n) => `/registry/secrets/ns/s${n}`) },
  fc.constantFrom("compact_rev_key", "/registryx", "/registry/", "/other/secrets/a"),
);
const value = fc.oneof(fc.uint8Array({ maxLength: 60 }), fc.constant(new Uint8Array(9000).fill(7)));
const writes: fc.Arbitrary<Write[]> = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: fc.record({ key, value }) },
    { weight: 2, arbitrary: fc.record({ key }) },
    fc.constant({ key: "" }),
  ),
  { maxLength: 120 },
);
const pageBytes = fc.constantFrom(1024, 4096);

test("the newest state of each key is read once, whatever was written and deleted before", async () => {
  await fc.assert(
    fc.asyncProperty(
      writes,
      pageBytes,
      fc.boolean(),
      fc.constantFrom(1, 8, 1000),
      async (log, size, hashed, max) => {
        const expected: Record<string, string> = {};
        for (const write of log) {
          if (!write.key.startsWith("/registry/") || write.key === "/registry/") {
            continue;
          }
          if (write.value === undefined) {
            delete expected[write.key];
          } else {
            expected[write.key] = Buffer.from(write.value).toString("hex");
          }
        }
        expect(await contentOf(snapshotBytes(log, { pageBytes: size, hashed }), max)).toEqual(expected);
      },
    ),
    { numRuns: 150 },
  );
});

test("when one part of the key space does not fit, all is read again in smaller parts", async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ minLength: 4, maxLength: 4 }), async (salt) => {
      // 88 keys in two parts of at most 44: one of the two overflows about every other time.
      const log = Array.from({ length: 88 }, (_, n) => ({
        key: `/registry/secrets/${salt}/s${n}`,
        value: Buffer.of(n),
      }));
      expect(Object.keys(await contentOf(snapshotBytes(log), 44))).toHaveLength(88);
    }),
    { numRuns: 30 },
  );
});

test("bytes changed anywhere in a bare database never crash, loop or read outside the file", async () => {
  const damage = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { minLength: 1, maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(writes, damage, fc.boolean(), async (log, changes, structural) => {
      const bytes = Buffer.from(snapshotBytes(log, { pageBytes: 1024, hashed: false }));
      for (const [place, byte] of changes) {
        // Structural damage aims at the headers and element tables, where a byte in a thousand would miss.
        const page = Math.floor(place / 7) % (bytes.length / 1024);
        bytes[structural ? page * 1024 + (place % 80) : place % bytes.length] = byte;
      }
      await contentOf(bytes);
    }),
    { numRuns: 600 },
  );
});

test("no single changed byte of a saved snapshot goes unnoticed", async () => {
  const intact = snapshotBytes(
    Array.from({ length: 40 }, (_, n) => ({ key: `/registry/secrets/ns/s${n}`, value: Buffer.alloc(90, n) })),
    { pageBytes: 1024, hashed: true },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.nat({ max: intact.length - 1 }),
      fc.integer({ min: 1, max: 255 }),
      async (at, flip) => {
        const bytes = Buffer.from(intact);
        bytes[at] = (bytes[at] ?? 0) ^ flip;
        expect([
          "snapshot_hash_mismatch",
          "snapshot_damaged",
          "snapshot_not_etcd",
          "snapshot_truncated",
        ] as unknown[]).toContain(await contentOf(bytes));
      },
    ),
    { numRuns: 400 },
  );
});

test("a file cut off anywhere is refused, or passes for the bare database that it then is", async () => {
  const intact = snapshotBytes([{ key: "/registry/secrets/ns/s", value: Buffer.from("x") }]);
  await fc.assert(
    fc.asyncProperty(fc.nat({ max: intact.length - 1 }), async (length) => {
      const refused = typeof (await contentOf(intact.subarray(0, length))) === "string";
      expect(refused).toBe(length !== intact.length - 32);
    }),
    { numRuns: 200 },
  );
});

describe("damage in a bare database", () => {
  const layout = { pageBytes: 1024, hashed: false };
  const intact = snapshotBytes(
    Array.from({ length: 400 }, (_, n) => ({
      key: `/registry/secrets/ns/s${n}`,
      value: Buffer.alloc(90, n),
    })),
    layout,
  );
  const pageOf = (flags: number): number => {
    for (let page = 2; page < intact.length / layout.pageBytes; page++) {
      if (Buffer.from(intact).readUInt16LE(page * layout.pageBytes + 8) === flags) {
        return page * layout.pageBytes;
      }
    }
    throw new Error("no such page");
  };
  const branch = pageOf(0x01);
  const leaf = pageOf(0x02);

  test.each([
    ["magic of the first header", 16, 0, "snapshot_not_etcd"],
    ["magic of the second header", 1024 + 16, 0, "snapshot_damaged"],
    ["checksum of the newer header", 1024 + 72, 1, "snapshot_damaged"],
    ["checksum of the older header", 72, 1, "snapshot_damaged"],
    ["page size", 24, 9, "snapshot_damaged"],
    ["number of a branch", branch, 99, "snapshot_damaged"],
    ["kind of a branch", branch + 8, 4, "snapshot_damaged"],
    ["count of a branch", branch + 11, 9, "snapshot_damaged"],
    ["no children", branch + 10, 0, "snapshot_damaged"],
    ["overflow of a branch", branch + 15, 255, "snapshot_damaged"],
    ["place of a branch's key", branch + 17, 255, "snapshot_damaged"],
    ["length of a branch's key", branch + 21, 255, "snapshot_damaged"],
    ["child of a branch outside the file", branch + 16 + 16 + 8 + 3, 255, "snapshot_damaged"],
    ["child of a branch that is another's", branch + 16 + 16 + 8, 3, "snapshot_damaged"],
    ["child of a branch that is itself", branch + 16 + 16 + 8, branch / 1024, "snapshot_damaged"],
    ["number of a leaf", leaf, 99, "snapshot_damaged"],
    ["kind of a leaf", leaf + 8, 0x10, "snapshot_damaged"],
    ["count of a leaf", leaf + 11, 255, "snapshot_damaged"],
    ["place of a leaf's key", leaf + 16 + 4 + 1, 255, "snapshot_damaged"],
    ["length of a leaf's value", leaf + 16 + 12 + 1, 255, "snapshot_damaged"],
    ["an element that became a bucket", leaf + 16, 1, "snapshot_damaged"],
  ])("%s", async (_, at, byte, code) => {
    const bytes = Buffer.from(intact);
    expect(bytes[at]).not.toBe(byte);
    bytes[at] = byte;
    expect(await contentOf(bytes)).toBe(code);
  });
});

describe("a packed file: the message asks to unpack it", () => {
  test.each([
    ["gzip", "1f8b0800000000"],
    ["zstd", "28b52ffd0000"],
    ["xz", "fd377a585a00"],
    ["bzip2", "425a68393141"],
    ["zip", "504b03041400"],
  ])("%s", async (_, firstBytes) => {
    const bytes = Buffer.concat([Buffer.from(firstBytes, "hex"), Buffer.alloc(8192)]);
    expect(await contentOf(bytes)).toBe("snapshot_compressed");
  });

  test("shorter than any such mark: truncated", async () => {
    expect(await contentOf(Buffer.from("1f8b08", "hex"))).toBe("snapshot_truncated");
  });
});

test("a deletion without a key is damage", async () => {
  const whole = Buffer.from(snapshotBytes([{ key: "/registry/a" }], { pageBytes: 4096, hashed: false }));
  // The leaf's only element: its size of the value becomes 0.
  const at = whole.indexOf(Buffer.from("5f0000000000000000", "hex"));
  expect(at).toBeGreaterThan(0);
  const leaf = Math.floor(at / 4096) * 4096;
  whole.writeUInt32LE(0, leaf + 16 + 12);
  expect(await contentOf(whole)).toBe("snapshot_damaged");
});

describe("which header counts", () => {
  const log = [{ key: "/registry/secrets/a", value: Buffer.from("x") }];
  const layout = { pageBytes: 1024, hashed: false };
  /** The header with this number, with its root page changed and its checksum made right again. */
  const withRoot = (header: 0 | 1, rootPage: bigint): Buffer => {
    const bytes = Buffer.from(snapshotBytes(log, layout));
    const pageCount = bytes.length / layout.pageBytes;
    bytes.set(metaPage(header, { ...layout, rootPage, pageCount }), header * layout.pageBytes);
    return bytes;
  };

  test("the newer one: what the older one says of the tree is not looked at", async () => {
    expect(await contentOf(withRoot(0, 3n))).toEqual({ "/registry/secrets/a": "78" });
  });

  test("a root page outside the file, in the newer one, is damage", async () => {
    expect(await contentOf(withRoot(1, 1n))).toBe("snapshot_damaged");
    const { length } = snapshotBytes(log, layout);
    expect(await contentOf(withRoot(1, BigInt(length / layout.pageBytes)))).toBe("snapshot_damaged");
  });
});

describe("pages that belong to two nodes", () => {
  const layout = { pageBytes: 1024, hashed: false };
  const intact = snapshotBytes(
    Array.from({ length: 60 }, (_, n) => ({ key: `/registry/secrets/s${n}`, value: Buffer.alloc(90, n) })),
    layout,
  );
  const pages = Array.from({ length: intact.length / 1024 }, (_, page) => page * 1024);
  const firstLeaf = pages.find((at) => Buffer.from(intact).readUInt16LE(at + 8) === 0x02) ?? 0;

  test("a leaf that takes the page of the next one into its length is damage", async () => {
    const bytes = Buffer.from(intact);
    bytes.writeUInt32LE(1, firstLeaf + 12);
    expect(await contentOf(bytes)).toBe("snapshot_damaged");
  });

  test("a last page that claims one more than there are is damage", async () => {
    const bytes = Buffer.from(intact);
    bytes.writeUInt32LE(1, bytes.length - 1024 + 12);
    expect(await contentOf(bytes)).toBe("snapshot_damaged");
  });
});

test("a record under another revision than its own is damage, also under a digest that fits", async () => {
  const bytes = Buffer.from(
    snapshotBytes([{ key: "/registry/a", value: Buffer.from("x") }], { pageBytes: 1024, hashed: false }),
  );
  // create_revision and mod_revision are 2 in the only record: tags 0x10 and 0x18.
  const at = bytes.indexOf(Buffer.from("10021802", "hex"));
  expect(at).toBeGreaterThan(0);
  bytes[at + 3] = 3;
  expect(await contentOf(bytes)).toBe("snapshot_damaged");
  expect(await contentOf(withDigest(bytes))).toBe("snapshot_damaged");
});

test("a file that is written to while it is read is refused, at each of the two looks", async () => {
  for (const changedAt of [1, 2]) {
    let looks = 0;
    const file: OpenFile = {
      ...memoryFile(snapshotBytes([{ key: "/registry/a", value: Buffer.from("x") }])),
      assertUnchanged: () => {
        looks += 1;
        if (looks === changedAt) {
          throw new Error("changed");
        }
      },
    };
    const read = async (): Promise<void> => {
      const snapshot = await openSnapshot(file, {
        clock: { ...systemClock, sleep: () => Promise.resolve() },
        signal: new AbortController().signal,
        onProgress: () => {},
      });
      await snapshot.read(PREFIX, { reset: () => {}, add: () => {} });
    };
    expect(await read().then(String, String)).toContain("changed");
  }
});
