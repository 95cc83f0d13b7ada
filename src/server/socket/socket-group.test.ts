import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { ServerError } from "../errors.ts";
import { findGroup, resolveSocketGroup } from "./socket-group.ts";

const directory = mkdtempSync(join(tmpdir(), "group-"));
const groupFile = join(directory, "group");
writeFileSync(
  groupFile,
  "root:x:0:\n# comment\nbroken\nkms:x:4242:a,b\nkms:x:1:\nnegative:x:-1:\nhuge:x:4294967295:\nlast:x:4294967294:\n",
);
afterAll(() => rmSync(directory, { recursive: true }));

async function code(group: string, file = groupFile): Promise<string | number> {
  try {
    return await resolveSocketGroup(group, file);
  } catch (error) {
    return error instanceof ServerError ? error.code : "other";
  }
}

test.each([
  ["4242", 4242],
  ["0", 0],
  ["4294967294", 4_294_967_294],
  ["kms", 4242],
  ["root", 0],
  ["4294967295", "group_unknown"],
  ["99999999999999999999", "group_unknown"],
  ["", "group_unknown"],
  ["-1", "group_unknown"],
  ["no-such-group", "group_unknown"],
  ["broken", "group_unknown"],
  ["negative", "group_unknown"],
  ["huge", "group_unknown"],
  ["km", "group_unknown"],
  ["last", 4_294_967_294],
])("group %p is %p", async (group, expected) => {
  expect(await code(group)).toBe(expected);
});

test("a number needs no file", async () => {
  expect(await code("7", join(directory, "missing"))).toBe(7);
  expect(await code("kms", join(directory, "missing"))).toBe("group_file_unreadable");
});

test("a file has at most 4 MiB, and is closed", async () => {
  const file = join(directory, "large");
  const line = "kms:x:7:\n";
  const descriptors = (): number => readdirSync("/proc/self/fd").length;
  const before = descriptors();
  const padded = (bytes: number): string => `${"#".repeat(bytes - line.length - 1)}\n${line}`;
  writeFileSync(file, padded(4 * 1024 * 1024));
  expect(await code("kms", file)).toBe(7);
  writeFileSync(file, padded(4 * 1024 * 1024 + 1));
  expect(await code("kms", file)).toBe("group_file_unreadable");
  expect(descriptors()).toBe(before);
});

test("a file without end is not read without end", async () => {
  expect(await code("kms", "/dev/zero")).toBe("group_file_unreadable");
});

test("whatever the file holds, the answer is a group number or nothing", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.string(), (text, name) => {
      const gid = findGroup(text, name);
      expect(gid === undefined || (Number.isInteger(gid) && gid >= 0 && gid < 2 ** 32 - 1)).toBe(true);
    }),
  );
});
