/** What the store does with single file operations that are odd: a write of nothing, a sync that fails, a file that changes. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { rotated, testFirstContent } from "../../../test/fakes/registry-fixture.ts";
import { codeOf, type RegistryOnDisk, registryOnDisk } from "../../../test/fakes/registry-on-disk.ts";
import { type OpenFile, type OpenPurpose, type StateFiles, systemStateFiles } from "./file-system.ts";

const never = new AbortController().signal;
let disk: RegistryOnDisk;
beforeEach(() => {
  disk = registryOnDisk();
});
afterEach(() => disk.remove());

/** The system's operations; each opened file is changed by `change`, and `log` names what was done. */
function watched(change: (file: OpenFile, purpose: OpenPurpose) => Partial<OpenFile> = () => ({})) {
  const log: string[] = [];
  const files: StateFiles = {
    ...systemStateFiles,
    open: async (path, purpose) => {
      const file = await systemStateFiles.open(path, purpose);
      log.push(`${purpose} ${basename(path)}`);
      const sync = async (): Promise<void> => {
        await file.sync();
        log.push(purpose === "directory" ? "sync directory" : `sync ${basename(path)}`);
      };
      const close = async (): Promise<void> => {
        await file.close();
        log.push(`close ${purpose}`);
      };
      return { ...file, sync, close, ...change(file, purpose) };
    },
    rename: async (from, to) => {
      await systemStateFiles.rename(from, to);
      log.push(`rename ${basename(to)}`);
    },
    unlink: async (path) => {
      await systemStateFiles.unlink(path);
      log.push(`unlink ${basename(path)}`);
    },
  };
  return { files, log };
}

const failing = (errno: string) => (): Promise<void> =>
  Promise.reject(Object.assign(new Error(errno), { code: errno }));

test("each file is synced before its rename and its directory after it", async () => {
  const stored = await disk.written(2);
  const { files, log } = watched();
  await disk.open({ files }).commit(stored, rotated(stored.record), never);
  const steps = log.filter((each) => /^(sync|rename)/.test(each));
  expect(steps.slice(-6)).toEqual([
    "sync key-registry.json.new",
    "rename key-registry.json",
    "sync directory",
    "sync key-registry.json.checkpoint.new",
    "rename key-registry.json.checkpoint",
    "sync directory",
  ]);
  const opened = log.filter((each) => /^(read|create|directory) /.test(each));
  expect(log.filter((each) => each.startsWith("close")).length).toBe(opened.length);
});

test("a checkpoint that is removed is gone for good before a new registry is written", async () => {
  const stored = await disk.written(2);
  rmSync(disk.path);
  const { files, log } = watched();
  await disk.open({ files }).rebuild(stored.record, never);
  const removed = log.indexOf("unlink key-registry.json.checkpoint");
  expect(removed).toBeGreaterThan(0);
  expect(log.slice(removed + 1, removed + 3)).toEqual([
    `directory ${basename(disk.directory)}`,
    "sync directory",
  ]);
});

test("a write that writes nothing is a full disk, and not tried forever", async () => {
  const { files } = watched((_, purpose) =>
    purpose === "create" ? { write: () => Promise.resolve(0) } : {},
  );
  expect(await codeOf(disk.open({ files }).commit(undefined, testFirstContent, never))).toBe("state_full");
});

test("only who may write makes durable what it reads", async () => {
  await disk.written(1);
  for (const access of ["read", "write"] as const) {
    const { files, log } = watched();
    await disk.open({ files, access }).load();
    expect(log.includes("sync directory")).toBe(access === "write");
  }
});

test.each([
  ["EROFS", "done"],
  ["EIO", "registry_unreadable"],
] as const)("a directory whose sync fails with %s: %s", async (errno, expected) => {
  await disk.written(1);
  const { files } = watched((_, purpose) => (purpose === "directory" ? { sync: failing(errno) } : {}));
  expect(await codeOf(disk.open({ files }).load())).toBe(expected);
});

test.each([
  ["stays the same is refused after two reads", false, 2],
  ["changes each time is refused after eight", true, 8],
])("a damaged registry that %s", async (_, changes, reads) => {
  await disk.written(1);
  writeFileSync(disk.path, "damaged");
  let count = 0;
  const { files, log } = watched((file, purpose) =>
    purpose === "read" && changes
      ? {
          facts: async () => {
            count += 1;
            return { ...(await file.facts()), identity: `identity ${count}` };
          },
        }
      : {},
  );
  expect(await codeOf(disk.open({ files }).load())).toBe("registry_foreign");
  expect(log.filter((each) => each === "read key-registry.json").length).toBe(reads);
});
