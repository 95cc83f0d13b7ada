import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeVolumeDirectory, type VolumeDirectory, VolumeDirectoryError } from "./volume-directory.ts";

const uid = process.getuid?.() ?? -1;
const gid = process.getgid?.() ?? -1;
const OTHER = 12_345;
let volume: string;
let wanted: VolumeDirectory;

beforeEach(() => {
  volume = mkdtempSync(join(realpathSync(tmpdir()), "volume-"));
  chmodSync(volume, 0o777);
  wanted = {
    path: join(volume, "run"),
    field: "server.createDirectory",
    errorClass: "socket_unavailable",
    uid,
    gid,
    mode: 0o2750,
    mountPoints: new Set([volume]),
  };
});
afterEach(() => rmSync(volume, { recursive: true, force: true }));

function codeOf(changed: Partial<VolumeDirectory>): string {
  try {
    makeVolumeDirectory({ ...wanted, ...changed });
    return "made";
  } catch (error) {
    if (error instanceof VolumeDirectoryError) {
      expect(error.message).toStartWith("server.createDirectory: ");
      expect(error.advice).toBeString();
      return error.code;
    }
    throw error;
  }
}

const facts = () => {
  const stat = lstatSync(wanted.path);
  return [stat.mode & 0o7777, stat.uid, stat.gid];
};

describe("a directory on a volume", () => {
  test("is made with owner, group and mode, whatever the umask is", () => {
    const before = process.umask(0o777);
    try {
      expect(codeOf({})).toBe("made");
    } finally {
      process.umask(before);
    }
    expect(facts()).toEqual([0o2750, uid, gid]);
  });

  test("is kept, with its content", () => {
    makeVolumeDirectory(wanted);
    mkdirSync(join(wanted.path, "content"));
    expect(codeOf({})).toBe("made");
    expect(lstatSync(join(wanted.path, "content")).isDirectory()).toBe(true);
  });

  test("that a crash left half-made is completed", () => {
    mkdirSync(wanted.path, { mode: 0o700 });
    expect(codeOf({})).toBe("made");
    expect(facts()).toEqual([0o2750, uid, gid]);
  });

  test("is not made anywhere but directly below a mount point", () => {
    expect(codeOf({ mountPoints: new Set() })).toBe("volume_not_mounted");
    expect(codeOf({ mountPoints: new Set([wanted.path]) })).toBe("volume_not_mounted");
    expect(codeOf({ path: join(volume, "a", "b") })).toBe("volume_not_mounted");
    expect(() => lstatSync(wanted.path)).toThrow();
  });

  test("that the file system refuses is reported with its reason, not with the later one", () => {
    // As root too, no directory can be made in sysfs.
    const path = "/sys/bao-kms-provider-test";
    try {
      makeVolumeDirectory({ ...wanted, path, mountPoints: new Set(["/sys"]) });
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: "volume_directory_unmakable", cause: { syscall: "mkdir" } });
    }
  });

  test("is not made through a link, and what the link leads to stays as it is", () => {
    const target = join(volume, "target");
    mkdirSync(target, { mode: 0o700 });
    symlinkSync(target, wanted.path);
    expect(codeOf({})).toBe("volume_directory_unmakable");
    expect(lstatSync(target).mode & 0o7777).toBe(0o700);
  });

  test.skipIf(uid !== 0)("of another user is refused and left alone (needs root to make)", () => {
    mkdirSync(wanted.path, { mode: 0o777 });
    chownSync(wanted.path, OTHER, OTHER);
    expect(codeOf({})).toBe("volume_directory_not_ours");
    expect(facts()).toEqual([0o755, OTHER, OTHER]);
  });

  test.skipIf(uid !== 0)("gets another group and keeps setgid (needs root to make)", () => {
    expect(codeOf({ gid: OTHER })).toBe("made");
    expect(facts()).toEqual([0o2750, uid, OTHER]);
  });

  test.skipIf(uid !== 0)("keeps the volume's group when none is asked for (needs root to make)", () => {
    chownSync(volume, 0, OTHER);
    chmodSync(volume, 0o2777);
    expect(codeOf({ gid: undefined, mode: 0o750 })).toBe("made");
    expect(facts()).toEqual([0o750, uid, OTHER]);
  });
});

test("a directory that stays another user's is open to no user", () => {
  const before = process.umask(0);
  try {
    expect(codeOf({ uid: OTHER })).toBe("volume_directory_not_ours");
    expect(facts()[0]).toBe(0o700);
  } finally {
    process.umask(before);
  }
});
