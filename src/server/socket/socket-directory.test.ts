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
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ServerError } from "../errors.ts";
import { checkSocketDirectory, makeSocketDirectory, type SocketDirectoryRules } from "./socket-directory.ts";

const uid = process.getuid?.() ?? -1;
const gid = process.getgid?.() ?? -1;

let root: string;
let rules: SocketDirectoryRules;

beforeEach(() => {
  root = mkdtempSync(join(realpathSync(tmpdir()), "dir-"));
  const directory = join(root, "run");
  mkdirSync(directory);
  chmodSync(directory, 0o2750);
  rules = {
    directory,
    ownerUid: uid,
    groupGid: gid,
    ownerName: "openbao-kms",
    groupName: "openbao-kms-socket",
  };
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

function problem(changed: Partial<SocketDirectoryRules> = {}): ServerError | undefined {
  try {
    checkSocketDirectory({ ...rules, ...changed });
    return undefined;
  } catch (error) {
    if (error instanceof ServerError) {
      return error;
    }
    throw error;
  }
}

describe("a directory that is fit", () => {
  test.each([[0o2750], [0o2710]])("mode %i", (mode) => {
    chmodSync(rules.directory, mode);
    expect(problem()).toBeUndefined();
  });

  test("below a directory that others can write, when that one is sticky as /tmp is", () => {
    chmodSync(root, 0o1777);
    expect(problem()).toBeUndefined();
  });

  test("behind a symbolic link above it, as /var/run is one", () => {
    symlinkSync(root, join(root, "link"));
    expect(problem({ directory: join(root, "link", "run") })).toBeUndefined();
  });
});

describe("a directory that is not fit", () => {
  test.each([[0o750], [0o755], [0o2755], [0o2770], [0o2700], [0o6750], [0o3750], [0o700], [0o777]])(
    "mode %i",
    (mode) => {
      chmodSync(rules.directory, mode);
      const found = problem();
      expect(found?.code).toBe("directory_wrong_mode");
      expect(found?.errorClass).toBe("socket_unavailable");
      expect(found?.advice).toBe(
        `install -d -o openbao-kms -g openbao-kms-socket -m 2750 ${rules.directory}`,
      );
    },
  );

  test("owner and group", () => {
    expect(problem({ ownerUid: uid + 1 })?.code).toMatch(/^(directory|ancestor)_wrong_owner$/);
    expect(problem({ groupGid: gid + 1 })?.code).toBe("directory_wrong_group");
  });

  test("missing", () => {
    const found = problem({ directory: join(root, "missing") });
    expect(found?.code).toBe("directory_missing");
    expect(found?.advice).toContain(`-m 2750 ${join(root, "missing")}`);
    expect(problem({ directory: join(root, "missing", "deeper") })?.code).toBe("directory_missing");
  });

  test("a symbolic link, even to a directory that is fit", () => {
    symlinkSync(rules.directory, join(root, "link"));
    expect(problem({ directory: join(root, "link") })?.code).toBe("directory_symlink");
  });

  test("a regular file", () => {
    writeFileSync(join(root, "file"), "");
    expect(problem({ directory: join(root, "file") })?.code).toBe("directory_not_a_directory");
    expect(problem({ directory: join(root, "file", "run") })?.code).toBe("directory_missing");
  });

  test.each([[0o777], [0o757]])("an ancestor that others can write, mode %i", (mode) => {
    chmodSync(root, mode);
    expect(problem()?.code).toBe("ancestor_writable");
  });

  test("an ancestor that others can write behind a symbolic link", () => {
    const hidden = join(root, "hidden");
    mkdirSync(join(hidden, "run"), { recursive: true });
    chmodSync(join(hidden, "run"), 0o2750);
    symlinkSync(hidden, join(root, "link"));
    chmodSync(hidden, 0o777);
    expect(problem({ directory: join(root, "link", "run") })?.code).toBe("ancestor_writable");
  });

  test.skipIf(uid !== 0)(
    "an ancestor of another user, or writable by another group (needs root to make)",
    () => {
      chownSync(root, 12_345, 0);
      expect(problem()?.code).toBe("ancestor_wrong_owner");
      chownSync(root, 0, 12_345);
      chmodSync(root, 0o775);
      expect(problem()?.code).toBe("ancestor_writable");
      chmodSync(root, 0o755);
      expect(problem()).toBeUndefined();
      chownSync(root, 0, 0);
      chmodSync(root, 0o775);
      expect(problem()).toBeUndefined();
    },
  );
});

describe("server.createDirectory", () => {
  const made = (changed: Partial<SocketDirectoryRules> = {}): string => {
    try {
      makeSocketDirectory({ ...rules, ...changed });
      return "fit";
    } catch (error) {
      expect(error).toBeInstanceOf(ServerError);
      return error instanceof ServerError ? error.code : "";
    }
  };

  beforeEach(() => {
    rmSync(rules.directory, { recursive: true });
    chmodSync(root, 0o777);
  });

  test("makes the directory below a mount point that others can write", () => {
    expect(made({ mountPoints: new Set([root]) })).toBe("fit");
    expect(lstatSync(rules.directory).mode & 0o7777).toBe(0o2750);
  });

  test("makes none below another directory, and none when it is off", () => {
    expect(made({ mountPoints: new Set() })).toBe("volume_not_mounted");
    chmodSync(root, 0o755);
    expect(made()).toBe("directory_missing");
  });

  test("a wide directory above the mount point stays refused, and so does a wide mount point when it is off", () => {
    const volume = join(root, "volume");
    mkdirSync(volume);
    const directory = join(volume, "run");
    expect(made({ directory, mountPoints: new Set([volume, root]) })).toBe("ancestor_writable");
    chmodSync(root, 0o755);
    chmodSync(volume, 0o777);
    expect(made({ directory, mountPoints: new Set([volume]) })).toBe("fit");
    expect(made({ directory })).toBe("ancestor_writable");
  });

  test.skipIf(uid !== 0)("a mount point of another user stays refused (needs root to make)", () => {
    chownSync(root, 12_345, 0);
    expect(made({ mountPoints: new Set([root]) })).toBe("ancestor_wrong_owner");
  });
});
