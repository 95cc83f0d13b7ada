/** The store on real files: who may own what, what is refused, and who else may write. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { rotated, testFirstContent, testIdentity } from "../../test/fakes/registry-fixture.ts";
import { systemClock } from "../base/clock.ts";
import { identityHashes } from "../identity/fingerprint.ts";
import { isRegistryError, type RegistryCode } from "./errors.ts";
import { openRegistryStore, type RegistryStore, type RegistryStoreOptions } from "./file-store.ts";
import type { StoredRecord } from "./read-state.ts";
import { systemStateFiles } from "./state-files.ts";
import { trySqliteLock } from "./writer-lock.ts";

const euid = process.geteuid?.() ?? 0;
const never = new AbortController().signal;
let directory = "";
let path = "";
let checkpoint = "";

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "registry-"));
  chmodSync(directory, 0o750);
  path = join(directory, "key-registry.json");
  checkpoint = `${path}.checkpoint`;
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function open(change: Partial<RegistryStoreOptions> = {}): RegistryStore {
  return openRegistryStore({
    statePath: path,
    identity: identityHashes(testIdentity),
    access: "write",
    euid,
    files: systemStateFiles,
    tryLock: trySqliteLock,
    clock: systemClock,
    lockWaitMs: 60,
    ...change,
  });
}

async function written(generations: number, store = open()): Promise<StoredRecord> {
  let { stored } = await store.commit(undefined, testFirstContent, never);
  while (stored.record.generation < generations) {
    ({ stored } = await store.commit(stored, rotated(stored.record), never));
  }
  return stored;
}

async function codeOf(attempt: Promise<unknown>): Promise<RegistryCode | "done"> {
  try {
    await attempt;
    return "done";
  } catch (error) {
    if (isRegistryError(error)) {
      return error.code;
    }
    throw error;
  }
}

describe("a registry on disk", () => {
  test("is private, has its checkpoint, and reads back", async () => {
    const stored = await written(3);
    const state = await open().load();
    expect(state).toEqual({ kind: "found", stored });
    expect(readdirSync(directory).sort()).toEqual(
      ["key-registry.json", "key-registry.json.checkpoint", "key-registry.json.lock"].sort(),
    );
    for (const name of readdirSync(directory)) {
      expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600);
    }
  });

  test("serves another node together with its checkpoint", async () => {
    const stored = await written(3);
    const other = mkdtempSync(join(tmpdir(), "registry-other-"));
    try {
      copyFileSync(path, join(other, "r.json"));
      copyFileSync(checkpoint, join(other, "r.json.checkpoint"));
      const state = await open({ statePath: join(other, "r.json") }).load();
      expect(state.kind === "found" ? state.stored.hash : "").toBe(stored.hash);
    } finally {
      rmSync(other, { recursive: true });
    }
  });

  const refused: readonly (readonly [string, () => void | Promise<void>, RegistryCode])[] = [
    ["a checkpoint without a registry", () => rmSync(path), "registry_lost"],
    ["a registry without its checkpoint", () => rmSync(checkpoint), "checkpoint_missing"],
    ["a torn registry", () => writeFileSync(path, readFileSync(path).subarray(0, 200)), "registry_torn"],
    ["an emptied registry", () => writeFileSync(path, ""), "registry_torn"],
    ["another program's file", () => writeFileSync(path, "hello"), "registry_foreign"],
    [
      "the Go implementation's file",
      () => writeFileSync(path, '{"schemaVersion":"keyregistry.openbao-kms/v1alpha1"}'),
      "registry_of_go",
    ],
    ["a torn checkpoint", () => writeFileSync(checkpoint, "{"), "checkpoint_damaged"],
    [
      "the Go implementation's checkpoint",
      () => writeFileSync(checkpoint, '{"schemaVersion":"keyregistry.openbao-kms/checkpoint/v1alpha1"}'),
      "checkpoint_of_go",
    ],
    [
      "a hand-edited registry",
      () => writeFileSync(path, readFileSync(path, "utf8").replace('"retired"', '"removed"')),
      "registry_edited",
    ],
    ["a symbolic link", () => replaceByLink(path), "registry_unsafe"],
    ["a symbolic link to nowhere", () => replaceByLink(path, "/nonexistent"), "registry_unsafe"],
    ["a symbolic link as checkpoint", () => replaceByLink(checkpoint), "checkpoint_unsafe"],
    ["a directory", () => replaceByDirectory(path), "registry_unsafe"],
    ["a registry that its group may write", () => chmodSync(path, 0o620), "registry_unsafe"],
    ["a checkpoint that all may write", () => chmodSync(checkpoint, 0o602), "checkpoint_unsafe"],
    ["a directory that its group may write", () => chmodSync(directory, 0o770), "state_directory_unsafe"],
    ["no directory", () => rmSync(directory, { recursive: true }), "state_directory_missing"],
  ];
  test.each(refused)("%s is refused and left alone", async (_, damage, code) => {
    const stored = await written(3);
    await damage();
    const before = snapshot();
    expect(await codeOf(open().load())).toBe(code);
    expect(await codeOf(open().commit(stored, stored.record, never))).toBe(code);
    expect(await codeOf(open().commit(undefined, testFirstContent, never))).toBe(code);
    expect(snapshot()).toEqual(before);
  });

  test("an older registry under a newer checkpoint is rolled back", async () => {
    await written(2);
    const old = readFileSync(path);
    rmSync(directory, { recursive: true });
    mkdirSync(directory, { mode: 0o750 });
    await written(3);
    writeFileSync(path, old);
    expect(await codeOf(open().load())).toBe("registry_rolled_back");
  });

  test("another history of the same length does not fit the checkpoint", async () => {
    await written(2);
    const other = readFileSync(path);
    rmSync(path);
    rmSync(checkpoint);
    const first = await open().commit(undefined, { ...testFirstContent, notes: [] }, never);
    await open().commit(first.stored, rotated(first.stored.record), never);
    writeFileSync(path, other);
    expect(await codeOf(open().load())).toBe("checkpoint_disagrees");
  });

  test("a registry of another configuration names the field, not its value", async () => {
    await written(1);
    const identity = identityHashes({ ...testIdentity, clusterId: "canary" });
    const error = await open({ identity })
      .load()
      .catch((thrown: unknown) => thrown);
    expect(isRegistryError(error) ? error.code : "").toBe("registry_other_identity");
    expect(String(error)).toContain("transit.keyIdScope.clusterId");
    expect(String(error)).not.toContain("canary");
  });

  test.skipIf(euid !== 0)("of another user is refused (needs root to make one)", async () => {
    await written(1);
    chownSync(path, 12345, 12345);
    expect(await codeOf(open().load())).toBe("registry_unsafe");
    chownSync(directory, 12345, 12345);
    expect(await codeOf(open().load())).toBe("state_directory_unsafe");
    chownSync(checkpoint, 12345, 12345);
    chownSync(path, 12345, 12345);
    const reader = open({ access: "read" });
    const state = await reader.load();
    expect(state.kind).toBe("found");
    expect(await codeOf(reader.commit(undefined, testFirstContent, never))).toBe("state_not_owner");
  });
});

describe("a registry that was lost", () => {
  test("is made again only when its file is gone", async () => {
    const stored = await written(3);
    expect(await codeOf(open().rebuild(testFirstContent, never))).toBe("registry_changed");
    writeFileSync(path, "another program's");
    expect(await codeOf(open().rebuild(testFirstContent, never))).toBe("registry_changed");
    rmSync(path);
    const again = await open().rebuild(stored.record, never);
    expect(again.stored.record.generation).toBe(1);
    expect(await open().load()).toEqual({ kind: "found", stored: again.stored });
  });

  test("is not made again over what the Go implementation left", async () => {
    writeFileSync(checkpoint, '{"schemaVersion":"keyregistry.openbao-kms/checkpoint/v1alpha1"}');
    chmodSync(checkpoint, 0o600);
    expect(await codeOf(open().rebuild(testFirstContent, never))).toBe("checkpoint_of_go");
  });
});

describe("two writers", () => {
  test("the second one is told, and follows the first one's chain", async () => {
    const base = await written(1);
    const command = open();
    const second = await command.commit(base, rotated(base.record), never);
    const third = await command.commit(second.stored, rotated(second.stored.record), never);

    const daemon = open();
    expect(await codeOf(daemon.commit(base, rotated(base.record), never))).toBe("registry_changed");
    expect((await daemon.follow(base)).hash).toBe(third.stored.hash);
    expect(await daemon.follow(third.stored)).toBe(third.stored);
  });

  test("a stranger's registry is not adopted while running", async () => {
    const mine = await written(2);
    rmSync(path);
    rmSync(checkpoint);
    expect(await codeOf(open().follow(mine))).toBe("registry_lost");
    const first = await open().commit(undefined, { ...testFirstContent, notes: [] }, never);
    expect(await codeOf(open().follow(mine))).toBe("registry_diverged");
    await open().commit(first.stored, rotated(first.stored.record), never);
    expect(await codeOf(open().follow(mine))).toBe("registry_diverged");
    expect(await codeOf(open().commit(mine, rotated(mine.record), never))).toBe("registry_changed");
  });

  test("waits for a lock that is held, but not for ever, and gives up when told to", async () => {
    const base = await written(1);
    const held = trySqliteLock(`${path}.lock`);
    expect(await codeOf(open().commit(base, rotated(base.record), never))).toBe("registry_locked");
    const stop = new AbortController();
    const waiting = open({ lockWaitMs: 60_000 }).commit(base, rotated(base.record), stop.signal);
    stop.abort(new Error("stopped"));
    expect(waiting).rejects.toThrow("stopped");
    const released = open({ lockWaitMs: 5000 }).commit(base, rotated(base.record), never);
    held?.release();
    expect((await released).stored.record.generation).toBe(2);
  });

  test("readers in between always see a whole state", async () => {
    const writer = open();
    let stored = await written(1);
    const seen: number[] = [];
    const reading = (async () => {
      while (stored.record.generation < 15) {
        const state = await open({ access: "read" }).load();
        seen.push(state.kind === "found" ? state.stored.record.generation : 0);
      }
    })();
    while (stored.record.generation < 15) {
      ({ stored } = await writer.commit(stored, rotated(stored.record), never));
    }
    await reading;
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
  });
});

function replaceByLink(from: string, to = `${from}.real`): void {
  if (to.endsWith(".real")) {
    copyFileSync(from, to);
    chmodSync(to, 0o600);
  }
  rmSync(from);
  symlinkSync(to, from);
}

function replaceByDirectory(from: string): void {
  rmSync(from);
  mkdirSync(from);
}

/** Names and contents of all files, the lock's aside. */
function snapshot(): readonly (readonly [string, string])[] {
  try {
    return readdirSync(directory)
      .filter((name) => !name.endsWith(".lock"))
      .map((name) => {
        const file = join(directory, name);
        return [
          name,
          statSync(file, { throwIfNoEntry: false })?.isFile() ? readFileSync(file, "latin1") : "",
        ];
      });
  } catch {
    return [];
  }
}
