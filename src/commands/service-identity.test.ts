import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ProviderError } from "../base/error-class.ts";
import { accessProblem, userIdentity } from "./service-identity.ts";

const files = {
  passwd: "root:x:0:0::/root:/bin/sh\nkms:x:990:980::/:/bin/false\nother:x:991:981::/:/bin/false\n",
  group: "kms:x:980:\nsocket:x:996:kms,root\nother:x:981:\n",
};

describe("users", () => {
  test("by name and by number, with all their groups", () => {
    const kms = { uid: 990, gid: 980, groups: [980, 996], name: "kms" };
    expect(userIdentity("kms", files)).toEqual(kms);
    expect(userIdentity("990", files)).toEqual(kms);
  });

  test("a number without an entry, and a name without one", () => {
    expect(userIdentity("65532", files)).toEqual({ uid: 65532, gid: undefined, groups: [], name: "65532" });
    expect(() => userIdentity("no-such-user", files)).toThrow(ProviderError);
  });
});

describe("what a user can reach", () => {
  const directory = mkdtempSync(join(tmpdir(), "access-"));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  chmodSync(directory, 0o755);
  const file = join(directory, "inner", "file");
  mkdirSync(join(directory, "inner"));
  writeFileSync(file, "");
  const { uid, gid } = statSync(file);
  const owner = { uid: uid === 0 ? 12_345 : uid, gid, groups: [gid], name: "service" };
  const stranger = { uid: 54_321, gid: 54_321, groups: [54_321], name: "stranger" };

  test.each([
    ["a stranger, open to all", 0o755, 0o644, stranger, undefined],
    ["a stranger, closed file", 0o755, 0o640, stranger, "may not read"],
    ["a stranger, closed directory", 0o750, 0o644, stranger, "may not enter"],
    ["a member of the group", 0o750, 0o640, owner, undefined],
    ["root", 0o700, 0o600, { ...stranger, uid: 0 }, undefined],
  ])("%s", (_, directoryMode, fileMode, user, problem) => {
    chmodSync(join(directory, "inner"), directoryMode);
    chmodSync(file, fileMode);
    const found = accessProblem(file, "read", user);
    if (problem === undefined) {
      expect(found).toBeUndefined();
    } else {
      expect(found).toContain(problem);
    }
  });

  test.skipIf(process.getuid?.() !== 0).each<[string, number, number, number, boolean]>([
    ["its owner, by the owner's bits", owner.uid, 0o400, 54_321, true],
    ["its owner, whatever group and others may", owner.uid, 0o077, gid, false],
    ["the group, by the group's bits", stranger.uid, 0o040, gid, true],
    ["the group, whatever others may", stranger.uid, 0o707, gid, false],
    ["others, by theirs", stranger.uid, 0o004, 54_321, true],
    ["others, whatever owner and group may", stranger.uid, 0o770, 54_321, false],
  ])("a file may be read by %s", (_, fileUid, mode, group, isReadable) => {
    chmodSync(join(directory, "inner"), 0o755);
    chmodSync(file, mode);
    chownSync(file, fileUid, gid);
    const user = { uid: owner.uid, gid: group, groups: [group], name: "service" };
    expect(accessProblem(file, "read", user) === undefined).toBe(isReadable);
  });

  test("a missing file is not a problem here", () => {
    expect(accessProblem(join(directory, "missing"), "read", stranger)).toBeUndefined();
  });
});
