import { afterAll, expect, spyOn, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { refuseExisting, writeNewFile } from "./write-new-file.ts";

const directory = mkdtempSync(join(tmpdir(), "new-file-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const at = (name: string): string => join(directory, name);

test("a new file is written, for all to read", async () => {
  await refuseExisting(at("new"), "--html");
  await writeNewFile(at("new"), "text", "--html");
  expect(readFileSync(at("new"), "utf8")).toBe("text");
  expect(statSync(at("new")).mode & 0o777 & ~process.umask()).toBe(0o644 & ~process.umask());
});

test("it is synced", async () => {
  const handle = await open(directory);
  const sync = spyOn(Object.getPrototypeOf(handle), "sync");
  await handle.close();
  try {
    await writeNewFile(at("synced"), "text", "--html");
    expect(sync.mock.calls).toHaveLength(1);
  } finally {
    sync.mockRestore();
  }
});

test("what is there stays, a link that leads nowhere included", async () => {
  writeFileSync(at("there"), "old");
  symlinkSync("nowhere", at("link"));
  for (const name of ["there", "link"]) {
    await expect(refuseExisting(at(name), "--html")).rejects.toMatchObject({ code: "file_exists" });
    await expect(writeNewFile(at(name), "new", "--html")).rejects.toMatchObject({ code: "file_exists" });
  }
  expect(readFileSync(at("there"), "utf8")).toBe("old");
});

test("a place that cannot be written is an error of its own", async () => {
  await expect(writeNewFile(at("no/such"), "x", "--html")).rejects.toMatchObject({
    code: "file_not_written",
  });
});
