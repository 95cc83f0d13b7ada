/** The store on real files: who may own what, and what is refused. */
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
import { rotated, testFirstContent, testIdentity } from "../../../test/fakes/registry-fixture.ts";
import { codeOf, type RegistryOnDisk, registryOnDisk } from "../../../test/fakes/registry-on-disk.ts";
import { identityHashes } from "../identity/fingerprint.ts";
import { isRegistryError, type RegistryCode } from "./errors.ts";

const euid = process.geteuid?.() ?? 0;
const never = new AbortController().signal;
let disk: RegistryOnDisk;
beforeEach(() => {
  disk = registryOnDisk();
});
afterEach(() => disk.remove());

describe("a registry on disk", () => {
  test("is private, has its checkpoint, and reads back", async () => {
    const stored = await disk.written(3);
    const state = await disk.open().load();
    expect(state).toEqual({ kind: "found", stored });
    expect(readdirSync(disk.directory).sort()).toEqual(
      ["key-registry.json", "key-registry.json.checkpoint", "key-registry.json.lock"].sort(),
    );
    for (const name of readdirSync(disk.directory)) {
      expect(statSync(join(disk.directory, name)).mode & 0o777).toBe(0o600);
    }
  });

  test("serves another node together with its checkpoint", async () => {
    const stored = await disk.written(3);
    const other = mkdtempSync(join(tmpdir(), "registry-other-"));
    try {
      copyFileSync(disk.path, join(other, "r.json"));
      copyFileSync(disk.checkpoint, join(other, "r.json.checkpoint"));
      const state = await disk.open({ statePath: join(other, "r.json") }).load();
      expect(state.kind === "found" ? state.stored.hash : "").toBe(stored.hash);
    } finally {
      rmSync(other, { recursive: true });
    }
  });

  const refused: readonly (readonly [string, () => void | Promise<void>, RegistryCode])[] = [
    ["a checkpoint without a registry", () => rmSync(disk.path), "registry_lost"],
    ["a registry without its checkpoint", () => rmSync(disk.checkpoint), "checkpoint_missing"],
    [
      "a torn registry",
      () => writeFileSync(disk.path, readFileSync(disk.path).subarray(0, 200)),
      "registry_torn",
    ],
    ["an emptied registry", () => writeFileSync(disk.path, ""), "registry_torn"],
    ["another program's file", () => writeFileSync(disk.path, "hello"), "registry_foreign"],
    [
      "the Go implementation's file",
      () => writeFileSync(disk.path, '{"schemaVersion":"keyregistry.openbao-kms/v1alpha1"}'),
      "registry_of_go",
    ],
    ["a torn checkpoint", () => writeFileSync(disk.checkpoint, "{"), "checkpoint_damaged"],
    [
      "the Go implementation's checkpoint",
      () => writeFileSync(disk.checkpoint, '{"schemaVersion":"keyregistry.openbao-kms/checkpoint/v1alpha1"}'),
      "checkpoint_of_go",
    ],
    [
      "a hand-edited registry",
      () => writeFileSync(disk.path, readFileSync(disk.path, "utf8").replace('"retired"', '"removed"')),
      "registry_edited",
    ],
    ["a symbolic link", () => replaceByLink(disk.path), "registry_unsafe"],
    ["a symbolic link to nowhere", () => replaceByLink(disk.path, "/nonexistent"), "registry_unsafe"],
    ["a symbolic link as checkpoint", () => replaceByLink(disk.checkpoint), "checkpoint_unsafe"],
    ["a directory", () => replaceByDirectory(disk.path), "registry_unsafe"],
    ["a registry that its group may write", () => chmodSync(disk.path, 0o620), "registry_unsafe"],
    ["a checkpoint that all may write", () => chmodSync(disk.checkpoint, 0o602), "checkpoint_unsafe"],
    [
      "a directory that its group may write",
      () => chmodSync(disk.directory, 0o770),
      "state_directory_unsafe",
    ],
    ["no directory", () => rmSync(disk.directory, { recursive: true }), "state_directory_missing"],
  ];
  test.each(refused)("%s is refused and left alone", async (_, damage, code) => {
    const stored = await disk.written(3);
    await damage();
    const before = snapshot();
    expect(await codeOf(disk.open().load())).toBe(code);
    expect(await codeOf(disk.open().commit(stored, stored.record, never))).toBe(code);
    expect(await codeOf(disk.open().commit(undefined, testFirstContent, never))).toBe(code);
    expect(snapshot()).toEqual(before);
  });

  test("an older registry under a newer checkpoint is rolled back", async () => {
    await disk.written(2);
    const old = readFileSync(disk.path);
    rmSync(disk.directory, { recursive: true });
    mkdirSync(disk.directory, { mode: 0o750 });
    await disk.written(3);
    writeFileSync(disk.path, old);
    expect(await codeOf(disk.open().load())).toBe("registry_rolled_back");
  });

  test("another history of the same length does not fit the checkpoint", async () => {
    await disk.written(2);
    const other = readFileSync(disk.path);
    rmSync(disk.path);
    rmSync(disk.checkpoint);
    const first = await disk.open().commit(undefined, { ...testFirstContent, notes: [] }, never);
    await disk.open().commit(first.stored, rotated(first.stored.record), never);
    writeFileSync(disk.path, other);
    expect(await codeOf(disk.open().load())).toBe("checkpoint_disagrees");
  });

  test("a registry of another configuration names the field, not its value", async () => {
    await disk.written(1);
    const identity = identityHashes({ ...testIdentity, clusterId: "canary" });
    const error = await disk
      .open({ identity })
      .load()
      .catch((thrown: unknown) => thrown);
    expect(isRegistryError(error) ? error.code : "").toBe("registry_other_identity");
    expect(String(error)).toContain("transit.keyIdScope.clusterId");
    expect(String(error)).not.toContain("canary");
  });

  test.skipIf(euid !== 0)("of another user is refused (needs root to make one)", async () => {
    await disk.written(1);
    chownSync(disk.path, 12345, 12345);
    expect(await codeOf(disk.open().load())).toBe("registry_unsafe");
    chownSync(disk.directory, 12345, 12345);
    expect(await codeOf(disk.open().load())).toBe("state_directory_unsafe");
    chownSync(disk.checkpoint, 12345, 12345);
    chownSync(disk.path, 12345, 12345);
    const reader = disk.open({ access: "read" });
    const state = await reader.load();
    expect(state.kind).toBe("found");
    expect(await codeOf(reader.commit(undefined, testFirstContent, never))).toBe("state_not_owner");
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
    return readdirSync(disk.directory)
      .filter((name) => !name.endsWith(".lock"))
      .map((name) => {
        const file = join(disk.directory, name);
        return [
          name,
          statSync(file, { throwIfNoEntry: false })?.isFile() ? readFileSync(file, "latin1") : "",
        ];
      });
  } catch {
    return [];
  }
}
