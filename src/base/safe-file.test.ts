import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readSafeFile, type SafeFileCode, SafeFileError, type SafeFileRules } from "./safe-file.ts";

const uid = process.getuid?.() ?? 0;
const rules: SafeFileRules = {
  what: "the secret file",
  field: "auth.test.file",
  maxBytes: 16,
  secret: true,
  serviceUid: uid,
  errorClass: "auth_failed",
};

let dir = "";
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "safe-file-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function file(name: string, text: string, mode: number): string {
  const path = join(dir, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

async function codeOf(attempt: Promise<unknown>): Promise<SafeFileCode | "read"> {
  try {
    await attempt;
    return "read";
  } catch (error) {
    if (error instanceof SafeFileError) {
      return error.code;
    }
    throw error;
  }
}

describe("readSafeFile", () => {
  const cases: readonly [string, () => string, Partial<SafeFileRules>, SafeFileCode | "read"][] = [
    ["a private file", () => file("ok", "secret", 0o600), {}, "read"],
    ["a group-readable secret", () => file("group", "secret", 0o640), {}, "read"],
    ["exactly the bound", () => file("bound", "x".repeat(16), 0o600), {}, "read"],
    ["a world-readable secret", () => file("world", "secret", 0o644), {}, "file_readable_by_others"],
    ["a world-readable public file", () => file("public", "ca", 0o644), { secret: false }, "read"],
    ["a secret that others may execute", () => file("ox", "x", 0o601), {}, "file_readable_by_others"],
    ["a secret that others may read alone", () => file("or", "x", 0o604), {}, "file_readable_by_others"],
    ["a secret that others may write", () => file("ow", "x", 0o602), {}, "file_writable_by_others"],
    ["a secret that its group may execute", () => file("gx", "x", 0o610), {}, "read"],
    ["a group-writable file", () => file("gw", "x", 0o660), {}, "file_writable_by_others"],
    [
      "a world-writable public file",
      () => file("ww", "x", 0o646),
      { secret: false },
      "file_writable_by_others",
    ],
    ["more than the bound", () => file("big", "x".repeat(17), 0o600), {}, "file_too_large"],
    ["an empty file", () => file("empty", "", 0o600), {}, "file_empty"],
    ["no file", () => join(dir, "none"), {}, "file_missing"],
    ["a path through a file", () => join(file("notdir", "x", 0o600), "x"), {}, "file_missing"],
    [
      "a directory",
      () => {
        mkdirSync(join(dir, "d"), { mode: 0o700 });
        return join(dir, "d");
      },
      {},
      "file_not_regular",
    ],
    ["more than it said it has", () => "/proc/self/status", { secret: false }, "file_too_large"],
    [
      "all of a file that says it has nothing",
      () => "/proc/self/status",
      { secret: false, maxBytes: 1 << 20 },
      "read",
    ],
    ["a device", () => "/dev/null", { secret: false }, "file_not_regular"],
    [
      "a secret that is a link to another directory",
      () => {
        symlinkSync("/proc/self/cmdline", join(dir, "out"));
        return join(dir, "out");
      },
      {},
      "file_symlink",
    ],
    [
      "a secret that is a link to a file beside it",
      () => {
        symlinkSync(file("target", "x", 0o600), join(dir, "link"));
        return join(dir, "link");
      },
      {},
      "read",
    ],
    [
      "a secret that is a link to a file that all can read",
      () => {
        symlinkSync("world", join(dir, "link-to-world"));
        return join(dir, "link-to-world");
      },
      {},
      "file_readable_by_others",
    ],
    ["a symlinked public file", () => join(dir, "link"), { secret: false }, "read"],
  ];
  test.each(cases)("%s", async (_, path, change, expected) => {
    expect(await codeOf(readSafeFile(path(), { ...rules, ...change }))).toBe(expected);
  });

  test.skipIf(uid !== 0)("a file of another user (needs root to make one)", async () => {
    const path = file("foreign", "x", 0o600);
    chownSync(path, 12345, 12345);
    expect(await codeOf(readSafeFile(path, rules))).toBe("file_wrong_owner");
    expect(await codeOf(readSafeFile(path, { ...rules, serviceUid: 12345 }))).toBe("read");
  });

  test.skipIf(uid !== 0)("a file that the process may not open (needs root to become another)", async () => {
    const path = file("closed", "x", 0o600);
    chmodSync(dir, 0o755);
    process.seteuid?.(12345);
    try {
      expect(await codeOf(readSafeFile(path, rules))).toBe("file_unreadable");
    } finally {
      process.seteuid?.(0);
    }
  });

  test("what the content and its identity are", async () => {
    const { bytes, identity } = await readSafeFile(file("content", "secret", 0o600), rules);
    expect(Buffer.from(bytes).toString()).toBe("secret");
    expect(identity.sizeBytes).toBe(6);
  });

  test("an error that no rule foresees is unreadable too", async () => {
    expect(await codeOf(readSafeFile(join(dir, "x".repeat(300)), rules))).toBe("file_unreadable");
  });

  test("the identity is that of the file: device, inode, time of change and bytes read", async () => {
    const path = file("identity", "text", 0o600);
    utimesSync(path, 1, 1);
    const { dev, ino, ctimeNs } = statSync(path, { bigint: true });
    expect((await readSafeFile(path, rules)).identity).toEqual({
      inode: `${dev}:${ino}`,
      changedNs: String(ctimeNs),
      sizeBytes: 4,
    });
    const listed = await readSafeFile("/proc/version", { ...rules, secret: false, maxBytes: 4096 });
    expect(listed.identity.sizeBytes).toBe(listed.bytes.length);
  });

  test("a FIFO does not hang", async () => {
    const path = join(dir, "fifo");
    expect(Bun.spawnSync(["mkfifo", "-m", "600", path]).exitCode).toBe(0);
    expect(await codeOf(readSafeFile(path, rules))).toBe("file_not_regular");
  });

  test("the identity changes when the file is replaced by one of the same size", async () => {
    const path = file("replaced", "one", 0o600);
    const before = (await readSafeFile(path, rules)).identity;
    rmSync(path);
    file("replaced", "two", 0o600);
    expect((await readSafeFile(path, rules)).identity).not.toEqual(before);
  });

  test("the message names field and path and holds nothing of the content", async () => {
    const path = file("leak", "canary", 0o644);
    const error = await readSafeFile(path, rules).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(SafeFileError);
    const text = error instanceof SafeFileError ? `${error.message} ${error.advice}` : "";
    expect(text).toContain(path);
    expect(text).toContain("auth.test.file");
    expect(text).not.toContain("canary");
  });
});
