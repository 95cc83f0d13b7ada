import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import {
  asDirectoryOwner,
  changeableDirectory,
  credentialsText,
  directoryOwner,
  dropPrivileges,
  parseCredentials,
  UnsafeForRootError,
} from "./drop-privileges.ts";

const isRoot = process.geteuid?.() === 0;
const SERVICE = { uid: 47_110, gid: 47_111, groups: [] };

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "identity-"));
  chmodSync(directory, 0o755);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe("an identity as text", () => {
  const id = fc.integer({ min: 0, max: 0xffff_fffe });
  test("comes back as it was", () => {
    fc.assert(
      fc.property(fc.record({ uid: id, gid: id, groups: fc.array(id, { maxLength: 8 }) }), (identity) => {
        expect(parseCredentials(credentialsText(identity))).toEqual(identity);
      }),
    );
  });

  test.each([
    "",
    "1:2",
    "1:2:3,",
    "1:2:,3",
    ":2:",
    "1::",
    "-1:2:",
    "1:2:x",
    "1:2:3:4",
    " 1:2:",
    "4294967295:2:",
    "1:4294967295:",
    "1:2:4294967295",
  ])("%p is none", (text) => {
    expect(parseCredentials(text)).toBeUndefined();
  });

  test("as many groups as the kernel takes, and one more", () => {
    const groups = (count: number): string => `1:2:${Array.from({ length: count }, () => 1).join(",")}`;
    expect(parseCredentials(groups(65_536))).toBeDefined();
    expect(parseCredentials(groups(65_537))).toBeUndefined();
  });
});

describe("where root may write", () => {
  const make = (name: string, mode: number, uid = 0): string => {
    mkdirSync(join(directory, name), { recursive: true });
    chmodSync(join(directory, name), mode);
    if (isRoot) {
      chownSync(join(directory, name), uid, 0);
    }
    return name;
  };

  test.skipIf(!isRoot).each([
    ["root's own", "/a", 0o755, 0, undefined],
    ["a group may write", "/b", 0o775, 0, "/b"],
    ["all may write", "/c", 0o757, 0, "/c"],
    ["sticky, and the last", "/d", 0o1777, 0, "/d"],
    ["another user's", "/e", 0o755, SERVICE.uid, "/e"],
    ["not there", "/missing", 0, 0, "/missing"],
  ])("%s", (_, path, mode, uid, found) => {
    if (mode !== 0) {
      make(path, mode, uid);
    }
    expect(changeableDirectory(path, directory)).toBe(found);
  });

  test.skipIf(!isRoot)("the first unsafe ancestor is named, links and files are not passed", () => {
    make("outer", 0o755, SERVICE.uid);
    make("outer/inner", 0o755);
    expect(changeableDirectory("/outer/inner", directory)).toBe("/outer");
    make("sticky", 0o1777);
    make("sticky/inner", 0o755);
    expect(changeableDirectory("/sticky/inner", directory)).toBeUndefined();
    make("open", 0o777);
    make("open/inner", 0o755);
    expect(changeableDirectory("/open/inner", directory)).toBe("/open");
    symlinkSync("a", join(directory, "link"));
    expect(changeableDirectory("/link", directory)).toBe("/link");
    writeFileSync(join(directory, "file"), "");
    expect(changeableDirectory("/file", directory)).toBe("/file");
  });

  test.skipIf(!isRoot)("the root itself is looked at, through the link that a process's root is", () => {
    symlinkSync(directory, join(directory, "proc-root"));
    make("a", 0o755);
    expect(changeableDirectory("/a", join(directory, "proc-root"))).toBeUndefined();
    chmodSync(directory, 0o777);
    expect(changeableDirectory("/a", join(directory, "proc-root"))).toBe("/");
    chmodSync(directory, 0o755);
  });
});

describe.skipIf(!isRoot)("the rights of a directory's owner", () => {
  const state = (): string => {
    const path = mkdtempSync(join(directory, "state-"));
    chownSync(path, SERVICE.uid, SERVICE.gid);
    chmodSync(path, 0o750);
    return path;
  };
  const status = () =>
    ["Uid", "Gid", "Groups", "CapEff"].map((name) =>
      new RegExp(`^${name}:(.*)$`, "m").exec(readFileSync("/proc/thread-self/status", "utf8"))?.[1]?.trim(),
    );

  test("are taken for the work alone, and given back", () => {
    process.setgroups?.([4243, 4242]);
    const before = status();
    expect(before[2]).toBe("4242 4243");
    const path = state();
    const [uids, gids, groups, capabilities] = asDirectoryOwner(path, () => {
      writeFileSync(join(path, "file"), "");
      return status();
    });
    expect(uids?.split("\t")[1]).toBe(String(SERVICE.uid));
    expect(gids?.split("\t")[1]).toBe(String(SERVICE.gid));
    expect([groups, Number(capabilities)]).toEqual(["", 0]);
    expect(status()).toEqual(before);
    process.setgroups?.([]);
    expect(statSync(join(path, "file"))).toMatchObject({ uid: SERVICE.uid, gid: SERVICE.gid });
  });

  test("are looked for through as many links as the kernel allows or fewer", () => {
    mkdirSync(join(directory, "behind"), { mode: 0o755 });
    symlinkSync("behind", join(directory, "link-1"));
    for (let each = 2; each <= 17; each += 1) {
      symlinkSync(`link-${each - 1}`, join(directory, `link-${each}`));
    }
    expect(directoryOwner(join(directory, "link-16"))).toBeUndefined();
    expect(() => directoryOwner(join(directory, "link-17"))).toThrow(UnsafeForRootError);
  });

  test("are given back after a failure", () => {
    const before = status();
    expect(() =>
      asDirectoryOwner(state(), () => {
        throw new TypeError("failed");
      }),
    ).toThrow(TypeError);
    expect(status()).toEqual(before);
  });

  test("a link that the owner put there does not lead to root's files", () => {
    const path = state();
    writeFileSync(join(directory, "roots"), "root's", { mode: 0o600 });
    symlinkSync(join(directory, "roots"), join(path, "file"));
    expect(() => asDirectoryOwner(path, () => writeFileSync(join(path, "file"), "other"))).toThrow("EACCES");
    expect(readFileSync(join(directory, "roots"), "utf8")).toBe("root's");
  });

  test("are those of the first user who can change what the path leads to", () => {
    const outer = state();
    const service = { uid: SERVICE.uid, gid: SERVICE.gid };
    expect(directoryOwner(outer)).toEqual(service);
    mkdirSync(join(outer, "inner"), { mode: 0o755 });
    expect(directoryOwner(join(outer, "inner"))).toEqual(service);
    mkdirSync(join(outer, "third"), { mode: 0o755 });
    chownSync(join(outer, "third"), SERVICE.uid + 7, 0);
    expect(directoryOwner(join(outer, "third"))).toEqual(service);
    // A link of the service's to a directory of root's: still the service, never root.
    symlinkSync("/etc", join(outer, "link"));
    lchownSync(join(outer, "link"), SERVICE.uid, SERVICE.gid);
    expect(directoryOwner(join(outer, "link"))).toEqual(service);
    // A link of root's is followed, from where the service cannot replace it.
    symlinkSync(outer, join(directory, "to-state"));
    expect(directoryOwner(join(directory, "to-state"))).toEqual(service);
    symlinkSync("to-itself", join(directory, "to-itself"));
    expect(() => directoryOwner(join(directory, "to-itself"))).toThrow(UnsafeForRootError);
  });

  test("are root's only where no other user can change the path", () => {
    mkdirSync(join(directory, "roots-own"), { mode: 0o755 });
    symlinkSync("roots-own", join(directory, "to-roots-own"));
    for (const path of ["roots-own", "to-roots-own"]) {
      expect(directoryOwner(join(directory, path))).toBeUndefined();
      expect(asDirectoryOwner(join(directory, path), () => process.geteuid?.())).toBe(0);
    }
    chmodSync(join(directory, "roots-own"), 0o1777);
    expect(() => directoryOwner(join(directory, "roots-own"))).toThrow(UnsafeForRootError);
    mkdirSync(join(directory, "roots-own", "inner"), { mode: 0o755 });
    expect(directoryOwner(join(directory, "roots-own", "inner"))).toBeUndefined();
    chmodSync(join(directory, "roots-own"), 0o775);
    expect(() => directoryOwner(join(directory, "roots-own", "inner"))).toThrow(UnsafeForRootError);
    writeFileSync(join(directory, "no-directory"), "");
    expect(() => directoryOwner(join(directory, "no-directory"))).toThrow(UnsafeForRootError);
  });
});

test.skipIf(isRoot)("without root, the work is done as it is", () => {
  expect(asDirectoryOwner(directory, () => process.geteuid?.())).toBe(process.geteuid?.());
});

describe.skipIf(!isRoot)("an identity that was not taken whole is noticed", () => {
  const nothing = () => {};
  const roots = { uid: 0, gid: 0, groups: [...(process.getgroups?.() ?? [])] };
  const steps = { setgroups: nothing, setgid: nothing, setuid: nothing };
  test("root's own is taken", () => {
    expect(dropPrivileges(roots, steps)).toBeUndefined();
  });
  test.each([
    ["user", { ...roots, uid: SERVICE.uid }],
    ["group", { ...roots, gid: SERVICE.gid }],
    ["groups", { ...roots, groups: [...roots.groups, SERVICE.gid] }],
  ])("the %s", (_, identity) => {
    expect(() => dropPrivileges(identity, steps)).toThrow("kept rights");
  });
});

test.skipIf(isRoot)("without root, no other identity can be taken", () => {
  expect(() => dropPrivileges({ uid: 0, gid: 0, groups: [] })).toThrow();
  expect(existsSync(directory)).toBe(true);
});
