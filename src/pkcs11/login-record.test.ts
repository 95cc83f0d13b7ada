import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chownSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../base/clock.ts";
import { LoginRecordError, loginRecord, openRecordDatabase } from "./login-record.ts";
import type { PinLatch } from "./pin-latch.ts";

const LATCH: PinLatch = {
  state: "refused",
  pinFile: { inode: "8:21", changedNs: "1700000000000000000", sizeBytes: 7 },
};
const soon = (): AbortSignal => AbortSignal.timeout(60);
const ever = new AbortController().signal;

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "login-record-"));
  path = join(directory, "pkcs11-login.db");
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const reasonOf = async (signal = ever): Promise<unknown> => {
  try {
    (await loginRecord(path, systemClock)(signal)).read();
    return "held";
  } catch (error) {
    return error instanceof LoginRecordError ? error.reason : error;
  }
};

describe("the login record", () => {
  test("keeps what was written, and forgets what was removed", async () => {
    const hold = loginRecord(path, systemClock);
    const first = await hold(ever);
    expect(first.read()).toBeUndefined();
    first.write(LATCH);
    first.release();
    const second = await hold(ever);
    expect(second.read()).toEqual(LATCH);
    second.write(undefined);
    second.release();
    const third = await hold(ever);
    expect(third.read()).toBeUndefined();
    third.release();
  });

  test("is held by one at a time; who waits gets it after the release", async () => {
    const hold = loginRecord(path, systemClock);
    const first = await hold(ever);
    expect(await reasonOf(soon())).toMatchObject({ name: "TimeoutError" });
    const next = hold(ever);
    first.write(LATCH);
    first.release();
    const second = await next;
    expect(second.read()).toEqual(LATCH);
    second.release();
  });

  test("written by a process that is killed, it stays, and its lock does not", async () => {
    const script = `
      import { loginRecord } from ${JSON.stringify(join(import.meta.dir, "login-record.ts"))};
      import { systemClock } from ${JSON.stringify(join(import.meta.dir, "../base/clock.ts"))};
      const held = await loginRecord(${JSON.stringify(path)}, systemClock)(new AbortController().signal);
      held.write(${JSON.stringify(LATCH)});
      console.log("written");
      setInterval(() => held.read(), 1000);`;
    const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", env: {} });
    const reader = child.stdout.getReader();
    await reader.read();
    expect(await reasonOf(soon())).toMatchObject({ name: "TimeoutError" });
    child.kill("SIGKILL");
    await child.exited;
    const held = await loginRecord(path, systemClock)(ever);
    expect(held.read()).toEqual(LATCH);
    held.release();
  });

  test.skipIf(process.geteuid?.() !== 0)(
    "made by root, it belongs to the owner of its directory",
    async () => {
      chownSync(directory, 4711, 4712);
      const held = await loginRecord(path, systemClock)(ever);
      held.write(LATCH);
      held.release();
      const { uid, gid, mode } = statSync(path);
      expect([uid, gid, mode & 0o022]).toEqual([4711, 4712, 0]);
    },
  );

  test("a commit is on disk before it returns, the directory included", () => {
    const database = openRecordDatabase(path);
    expect(database.query("PRAGMA synchronous").get()).toEqual({ synchronous: 3 });
    expect(database.query("PRAGMA locking_mode").get()).toEqual({ locking_mode: "exclusive" });
    database.close();
  });

  test("whose content is no record is damaged", async () => {
    const database = openRecordDatabase(path);
    database.run("CREATE TABLE pin_latch (one INTEGER PRIMARY KEY, record TEXT NOT NULL)");
    database.run("INSERT INTO pin_latch VALUES (1, '{}')");
    database.close();
    expect(await reasonOf()).toBe("damaged");
  });

  test("damaged, linked or out of reach, it is not used", async () => {
    writeFileSync(path, "this is not a database, and it is longer than a header would be".repeat(100));
    expect(await reasonOf()).toBe("damaged");
    rmSync(path);
    symlinkSync(join(directory, "elsewhere"), path);
    expect(await reasonOf()).toBe("unusable");
    path = join(directory, "no", "such", "place");
    expect(await reasonOf()).toBe("unusable");
  });
});
