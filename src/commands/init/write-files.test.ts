import { afterAll, expect, spyOn, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeFiles } from "./write-files.ts";

const directory = mkdtempSync(join(tmpdir(), "write-files-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const at = (name: string): string => join(directory, name);
const file = (name: string, mode = 0o640) => ({ name, text: name, mode });

test.each([0o022, 0o077])(
  "with umask %d: all files with their modes, in a directory for its owner alone",
  async (umask) => {
    const target = at(`new-${umask}`);
    const before = process.umask(umask);
    try {
      await writeFiles(target, [file("a"), file("b", 0o600)]);
    } finally {
      process.umask(before);
    }
    expect(readdirSync(target).sort()).toEqual(["a", "b"]);
    expect(["", "a", "b"].map((name) => statSync(join(target, name)).mode & 0o7777)).toEqual([
      0o700, 0o640, 0o600,
    ]);
    expect(readFileSync(join(target, "a"), "utf8")).toBe("a");
  },
);

test("each file and the directory are synced before they take their name", async () => {
  const handle = await open(directory);
  const prototype = Object.getPrototypeOf(handle);
  await handle.close();
  const { sync } = prototype;
  const isInPlace: boolean[] = [];
  const spy = spyOn(prototype, "sync").mockImplementation(function (this: unknown) {
    isInPlace.push(existsSync(at("synced")));
    return sync.call(this);
  });
  try {
    await writeFiles(at("synced"), [file("a"), file("patches/b")]);
  } finally {
    spy.mockRestore();
  }
  expect(isInPlace).toEqual([false, false, false]);
  expect(statSync(at("synced/patches")).mode & 0o777).toBe(0o700);
});

test("an empty directory is replaced, one with something in it is not", async () => {
  mkdirSync(at("empty"));
  await writeFiles(at("empty"), [file("a")]);
  expect(readdirSync(at("empty"))).toEqual(["a"]);
  await expect(writeFiles(at("empty"), [file("b")])).rejects.toMatchObject({ code: "out_not_empty" });
  writeFileSync(at("file"), "");
  await expect(writeFiles(at("file"), [file("b")])).rejects.toMatchObject({ code: "out_not_empty" });
  expect(readdirSync(at("empty"))).toEqual(["a"]);
});

test("when one cannot be written, nothing is left behind", async () => {
  const before = readdirSync(directory);
  await expect(writeFiles(at("twice"), [file("a"), file("a")])).rejects.toMatchObject({
    code: "out_not_empty",
  });
  await expect(writeFiles(at("nested"), [file("a"), file("n".repeat(300))])).rejects.toMatchObject({
    code: "out_unwritable",
  });
  await expect(writeFiles(join(at("file"), "below"), [file("a")])).rejects.toMatchObject({
    code: expect.stringMatching(/^out_/),
  });
  expect(readdirSync(directory)).toEqual(before);
});
