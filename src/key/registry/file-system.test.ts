/** The system's own file operations: what they refuse, and that a sync reaches the kernel. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { errnoOf } from "../../base/errno.ts";
import { type OpenPurpose, systemStateFiles } from "./file-system.ts";

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "files-"));
  path = join(directory, "file");
});
afterEach(() => rmSync(directory, { recursive: true }));

const outcome = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "done",
    (error: unknown) => errnoOf(error) ?? "unknown",
  );

test.each<OpenPurpose>(["create", "directory"])(
  "a sync of what was opened to %s reaches its descriptor",
  async (purpose) => {
    const file = await systemStateFiles.open(purpose === "create" ? path : directory, purpose);
    expect(await outcome(file.sync())).toBe("done");
    await file.close();
    expect(await outcome(file.sync())).not.toBe("done");
  },
);

test("a new file is private, and only made where nothing is", async () => {
  await (await systemStateFiles.open(path, "create")).close();
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(await outcome(systemStateFiles.open(path, "create"))).toBe("EEXIST");
  symlinkSync(join(directory, "elsewhere"), join(directory, "link"));
  expect(await outcome(systemStateFiles.open(join(directory, "link"), "create"))).toBe("EEXIST");
});

test("a symbolic link is not read through, and a file is no directory", async () => {
  writeFileSync(path, "x");
  symlinkSync(path, join(directory, "link"));
  expect(await outcome(systemStateFiles.open(join(directory, "link"), "read"))).toBe("ELOOP");
  expect(await outcome(systemStateFiles.open(path, "directory"))).toBe("ENOTDIR");
});

test("a FIFO is opened without waiting for its other end", async () => {
  spawnSync("mkfifo", [path]);
  const opened = systemStateFiles.open(path, "read");
  const file = await Promise.race([opened, Bun.sleep(2000)]);
  if (file === undefined) {
    // Ends the open(2) that waits.
    spawnSync("sh", ["-c", `: > ${path}`]);
    await (await opened).close();
    throw new Error("the open waited");
  }
  expect((await file.facts()).kind).toBe("other");
  await file.close();
});

test.each([
  [9, 9],
  [10, 10],
  [11, 11],
  [5000, 11],
])("of a file of %i bytes at most one more than the bound is read: %i", async (size, expected) => {
  writeFileSync(path, Buffer.alloc(size, 7));
  const file = await systemStateFiles.open(path, "read");
  expect((await file.read(10)).length).toBe(expected);
  await file.close();
});

test("the facts have every permission bit, and change with the file", async () => {
  writeFileSync(path, "x");
  chmodSync(path, 0o1644);
  const before = await systemStateFiles.stat(path);
  expect(before).toMatchObject({ kind: "file", mode: 0o1644, sizeBytes: 1 });
  writeFileSync(path, "xy");
  expect((await systemStateFiles.stat(path)).identity).not.toBe(before.identity);
  expect((await systemStateFiles.stat(directory)).kind).toBe("directory");
});
