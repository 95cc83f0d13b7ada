/** What a registry on disk must descend from before it is taken over, and that a write reaches the disk. */
import { afterEach, beforeEach, describe, expect, spyOn, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { rotated, testFirstContent } from "../../../test/fakes/registry-fixture.ts";
import { codeOf, type RegistryOnDisk, registryOnDisk } from "../../../test/fakes/registry-on-disk.ts";
import { encodeCheckpoint, judgeByCheckpoint } from "./checkpoint.ts";
import { encodeRecord } from "./encoding.ts";
import type { RegistryRecord } from "./record.ts";

let disk: RegistryOnDisk;
beforeEach(() => {
  disk = registryOnDisk();
});
afterEach(() => disk.remove());

const OTHER = "o".repeat(43);

/** Puts a record there with its checkpoint, as a copy from elsewhere would. */
function put(record: RegistryRecord): void {
  const { bytes, hash } = encodeRecord(record);
  writeFileSync(disk.path, bytes, { mode: 0o600 });
  writeFileSync(disk.checkpoint, encodeCheckpoint({ generation: record.generation, hash }), { mode: 0o600 });
}

describe("a provider that follows the file", () => {
  test("takes over what descends from its own record, however far", async () => {
    const base = await disk.written(1);
    const second = { ...rotated(base.record), generation: 2, previousHashes: [base.hash] };
    const third = {
      ...rotated(second),
      generation: 3,
      previousHashes: [base.hash, encodeRecord(second).hash],
    };
    put(third);
    expect((await disk.open().follow(base)).record.generation).toBe(3);
  });

  test.each([
    ["another parent", (hash: string) => ({ generation: 2, previousHashes: [OTHER], hash })],
    ["its hash at another generation", (hash: string) => ({ generation: 3, previousHashes: [OTHER, hash] })],
  ])("refuses %s", async (_, place) => {
    const base = await disk.written(1);
    const { generation, previousHashes } = place(base.hash);
    put({ ...rotated(base.record), generation, previousHashes });
    expect(await codeOf(disk.open().follow(base))).toBe("registry_diverged");
  });

  test("refuses a descendant whose active version goes back", async () => {
    const base = await disk.written(2);
    put({ ...testFirstContent, generation: 3, previousHashes: [...base.record.previousHashes, base.hash] });
    expect(await codeOf(disk.open().follow(base))).toBe("registry_diverged");
  });
});

describe("a registry and its checkpoint", () => {
  const record: RegistryRecord = {
    ...testFirstContent,
    generation: 5,
    previousHashes: [OTHER, "p".repeat(43)],
  };
  const parent = "p".repeat(43);
  type Verdict = ReturnType<typeof judgeByCheckpoint>;
  test.each<readonly [string, { generation: number; hash: string }, Verdict]>([
    ["the record itself", { generation: 5, hash: "r".repeat(43) }, "current"],
    ["its parent", { generation: 4, hash: parent }, "behind"],
    ["another record of its generation", { generation: 5, hash: OTHER }, "checkpoint_disagrees"],
    ["another record before it", { generation: 4, hash: OTHER }, "checkpoint_disagrees"],
    ["its parent's parent", { generation: 3, hash: OTHER }, "checkpoint_disagrees"],
    ["its parent, at another generation", { generation: 3, hash: parent }, "checkpoint_disagrees"],
    ["a later one", { generation: 6, hash: OTHER }, "registry_rolled_back"],
  ])("%s", (_, checkpoint, verdict) => {
    expect(judgeByCheckpoint(record, "r".repeat(43), checkpoint)).toBe(verdict);
  });

  test("without one, only the first record stands", () => {
    expect(judgeByCheckpoint({ ...record, generation: 1 }, OTHER, undefined)).toBe("behind");
    expect(judgeByCheckpoint(record, OTHER, undefined)).toBe("checkpoint_missing");
  });
});

test("a commit syncs both files and their directory before it returns", async () => {
  const handle = await open(disk.directory);
  const sync = spyOn(Object.getPrototypeOf(handle), "sync");
  await handle.close();
  try {
    await disk.written(1);
    expect(sync.mock.calls.length).toBeGreaterThanOrEqual(4);
  } finally {
    sync.mockRestore();
  }
});
