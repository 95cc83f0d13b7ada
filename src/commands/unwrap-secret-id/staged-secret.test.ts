import { afterAll, beforeEach, describe, expect, spyOn, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Secret } from "../../base/secret.ts";
import { stageSecret } from "./staged-secret.ts";

describe.skipIf(process.getuid?.() !== 0)("a secret's new file, made by root", () => {
  const parent = mkdtempSync(join(tmpdir(), "staged-"));
  afterAll(() => rmSync(parent, { recursive: true, force: true }));
  const directory = join(parent, "client");
  const path = join(directory, "secret-id");
  const stage = () => stageSecret(path, "f", { uid: 24_241, gid: 24_242 });
  beforeEach(() => {
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { mode: 0o750 });
  });

  test("is its owner's, and empty, before the secret is known", async () => {
    await using staged = await stage();
    const { mode, uid, gid, size } = statSync(staged.path);
    expect({ mode: mode & 0o7777, uid, gid, size }).toEqual({
      mode: 0o640,
      uid: 24_241,
      gid: 24_242,
      size: 0,
    });
    expect(readdirSync(directory)).toHaveLength(1);
  });

  test("of an owner that cannot be set leaves nothing behind", async () => {
    await expect(stageSecret(path, "f", { uid: 2 ** 33, gid: 0 })).rejects.toMatchObject({
      code: "file_not_written",
    });
    expect(readdirSync(directory)).toEqual([]);
  });

  test("is on the disk before it takes its name, and then its name is", async () => {
    const handle = await open(directory);
    const isInPlace: boolean[] = [];
    const prototype = Object.getPrototypeOf(handle);
    const { sync } = prototype;
    const spy = spyOn(prototype, "sync").mockImplementation(function (this: unknown) {
      isInPlace.push(existsSync(path));
      return sync.call(this);
    });
    await handle.close();
    try {
      await using staged = await stage();
      await staged.write(new Secret("s"));
      await staged.commit();
      expect(isInPlace).toEqual([false, true]);
    } finally {
      spy.mockRestore();
    }
    expect(readFileSync(path, "utf8")).toBe("s\n");
    expect(readdirSync(directory)).toEqual(["secret-id"]);
  });

  test("is gone when it was not put in place; a directory that is gone is an error", async () => {
    const staged = await stage();
    await staged.write(new Secret("s"));
    await staged[Symbol.asyncDispose]();
    expect(readdirSync(directory)).toEqual([]);
    const lost = await stage();
    rmSync(directory, { recursive: true });
    await expect(lost.commit()).rejects.toMatchObject({ code: "file_not_written" });
    await lost[Symbol.asyncDispose]();
    await expect(stage()).rejects.toMatchObject({ code: "directory_missing" });
  });
});
