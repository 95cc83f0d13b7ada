/** Which registry may follow which: hash chain, checkpoint, invariants of a step, order of the two files. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { rotated, testFirstContent } from "../../../test/fakes/registry-fixture.ts";
import { codeOf, type RegistryOnDisk, registryOnDisk } from "../../../test/fakes/registry-on-disk.ts";
import { withNewVersions } from "./changes.ts";
import { decodeCheckpoint, encodeCheckpoint, judgeByCheckpoint, MAX_CHECKPOINT_BYTES } from "./checkpoint.ts";
import { encodeRecord } from "./encoding.ts";
import { systemStateFiles } from "./file-system.ts";
import type { StoredRecord } from "./read-state.ts";
import {
  MAX_CHAIN,
  type RegistryContent,
  type RegistryRecord,
  recordProblem,
  successorProblem,
  type VersionRecord,
  type VersionState,
} from "./record.ts";

const never = new AbortController().signal;
const A = "A".repeat(43);
const B = "B".repeat(43);
let disk: RegistryOnDisk;
beforeEach(() => {
  disk = registryOnDisk();
});
afterEach(() => disk.remove());

/** A registry with its checkpoint, both well made, as another writer would leave them. */
function put(record: RegistryRecord): void {
  const { bytes, hash } = encodeRecord(record);
  writeFileSync(disk.path, bytes, { mode: 0o600 });
  writeFileSync(disk.checkpoint, encodeCheckpoint({ generation: record.generation, hash }), { mode: 0o600 });
}

/** The code with which following `base` was refused, or the generation that was adopted. */
async function followed(base: StoredRecord): Promise<number | string> {
  const code = await codeOf(disk.open().follow(base));
  return code === "done" ? (await disk.open().follow(base)).record.generation : code;
}

describe("a file that another process wrote", () => {
  test("is adopted when it descends in one step, or in as many as the chain has", async () => {
    const base = await disk.written(2);
    const next = rotated(base.record);
    put({ ...next, generation: 3, previousHashes: [...base.record.previousHashes, base.hash] });
    expect(await followed(base)).toBe(3);
    const hashes = Array.from({ length: MAX_CHAIN - 1 }, () => A);
    put({ ...next, generation: 2 + MAX_CHAIN, previousHashes: [base.hash, ...hashes] });
    expect(await followed(base)).toBe(2 + MAX_CHAIN);
  });

  test.each<readonly [string, (base: StoredRecord) => Partial<RegistryRecord>]>([
    ["is of another history", () => ({ generation: 3, previousHashes: [A, B] })],
    [
      "has the hash in another place of its chain",
      ({ hash }) => ({ generation: 4, previousHashes: [A, B, hash] }),
    ],
    ["is of the same generation", ({ hash }) => ({ generation: 2, previousHashes: [hash] })],
    [
      "forgets a version",
      ({ record, hash }) => ({
        generation: 3,
        previousHashes: [...record.previousHashes, hash],
        versions: record.versions.slice(1),
      }),
    ],
  ])("that %s is not", async (_, change) => {
    const base = await disk.written(2);
    put({ ...base.record, ...change(base) });
    expect(await followed(base)).toBe("registry_diverged");
  });

  test("is not when it belongs to a node that is behind", async () => {
    const first = await disk.written(1);
    const { stored } = await disk.open().commit(first, rotated(first.record), never);
    put(first.record);
    expect(await followed(stored)).toBe("registry_diverged");
  });
});

describe("the chain", () => {
  test("keeps as many hashes as a daemon can follow, and no more", async () => {
    let { stored } = await disk.open().commit(undefined, testFirstContent, never);
    const ancestors = [stored];
    while (stored.record.generation < MAX_CHAIN + 3) {
      ({ stored } = await disk.open().commit(stored, stored.record, never));
      ancestors.push(stored);
    }
    expect(stored.record.previousHashes.length).toBe(MAX_CHAIN);
    const ancestor = (steps: number) => ancestors[ancestors.length - 1 - steps] ?? stored;
    expect(await followed(ancestor(MAX_CHAIN))).toBe(stored.record.generation);
    expect(await followed(ancestor(MAX_CHAIN + 1))).toBe("registry_diverged");
  });

  test("has one hash for each generation before", () => {
    const record = { ...testFirstContent, generation: 3, previousHashes: [A, B] };
    expect(recordProblem(record)).toBeUndefined();
    expect(recordProblem({ ...record, previousHashes: [A] })).toContain("generation 3");
  });
});

test("a version that is rejected twice over is listed twice", () => {
  const [one, two] = rotated(testFirstContent).versions;
  const rejected = {
    version: 1,
    createdAtUnix: 9_000_000_000,
    state: "rejected" as const,
    firstSeenUnixMs: 1,
  };
  const record = (versions: RegistryRecord["versions"]) =>
    recordProblem({ ...testFirstContent, generation: 1, previousHashes: [], versions });
  if (one === undefined || two === undefined) {
    throw new Error("two versions were made");
  }
  expect(record([one, rejected, two])).toBeUndefined();
  expect(record([one, rejected, rejected, two])).toContain("listed twice");
});

describe("a registry by its checkpoint", () => {
  const record = { ...testFirstContent, generation: 3, previousHashes: [A, B] };
  const hash = "C".repeat(43);
  test.each([
    ["names it", { generation: 3, hash }, "current"],
    ["is one step behind", { generation: 2, hash: B }, "behind"],
    ["is one step behind, of another parent", { generation: 2, hash: A }, "checkpoint_disagrees"],
    ["is two steps behind", { generation: 1, hash: A }, "checkpoint_disagrees"],
    ["is two steps behind, with the parent's hash", { generation: 1, hash: B }, "checkpoint_disagrees"],
    ["is of this generation and another hash", { generation: 3, hash: B }, "checkpoint_disagrees"],
    ["is newer", { generation: 4, hash }, "registry_rolled_back"],
    ["is missing", undefined, "checkpoint_missing"],
  ])("that %s", (_, checkpoint, verdict) => {
    expect<string>(judgeByCheckpoint(record, hash, checkpoint)).toBe(verdict);
  });

  test.each([
    [1, "behind"],
    [2, "checkpoint_missing"],
  ])("that is missing at generation %i", (generation, verdict) => {
    const young = { ...testFirstContent, generation, previousHashes: [] };
    expect<string>(judgeByCheckpoint(young, hash, undefined)).toBe(verdict);
  });

  test("that is larger than any of ours is damaged", () => {
    const file = encodeCheckpoint({ generation: 1, hash });
    const large = Buffer.concat([file, Buffer.alloc(MAX_CHECKPOINT_BYTES, " ")]);
    expect(decodeCheckpoint(large)).toEqual({ kind: "refused", code: "checkpoint_damaged" });
  });
});

describe("a registry that is written again", () => {
  /** Paths in the order in which they were renamed into place. */
  async function renamed(write: (store: ReturnType<RegistryOnDisk["open"]>) => Promise<unknown>) {
    const order: string[] = [];
    const rename = async (from: string, to: string): Promise<void> => {
      await systemStateFiles.rename(from, to);
      order.push(to);
    };
    await write(disk.open({ files: { ...systemStateFiles, rename } }));
    return order;
  }

  test("comes after its checkpoint, so that a crash in between leaves it lost", async () => {
    const stored = await disk.written(3);
    rmSync(disk.path);
    rmSync(disk.checkpoint);
    expect(await renamed((store) => store.writeAgain(stored, never))).toEqual([disk.checkpoint, disk.path]);
  });

  test("comes before its checkpoint in every other change", async () => {
    const stored = await disk.written(2);
    expect(await renamed((store) => store.commit(stored, stored.record, never))).toEqual([
      disk.path,
      disk.checkpoint,
    ]);
  });

  test("may be one step before its checkpoint", async () => {
    const second = await disk.written(2);
    const checkpoint = readFileSync(disk.checkpoint);
    const { stored } = await disk.open().commit(second, second.record, never);
    rmSync(disk.path);
    writeFileSync(disk.checkpoint, checkpoint, { mode: 0o600 });
    expect((await disk.open().writeAgain(stored, never)).checkpoint).toBe("current");
    expect(await disk.open().load()).toMatchObject({ kind: "found", stored: { hash: stored.hash } });
  });
});

describe("a step", () => {
  const seen = withNewVersions(rotated(testFirstContent), [{ version: 3, createdAtUnix: 1_700_000_003 }], 9);
  const stateOf = (version: number, active: number): VersionState =>
    version === active ? "active" : version < active ? "retired" : "pending";
  const swapped = (active: number): RegistryContent => ({
    ...seen,
    versions: seen.versions.map(
      ({ version, createdAtUnix, firstSeenUnixMs }): VersionRecord => ({
        version,
        createdAtUnix,
        firstSeenUnixMs,
        state: stateOf(version, active),
      }),
    ),
  });

  test("never goes back to an older active version, though all are known", () => {
    expect(successorProblem(swapped(3), swapped(2))).toBe("the active version would go back from 3 to 2");
    expect(successorProblem(swapped(2), swapped(2))).toBeUndefined();
    expect(successorProblem(swapped(2), swapped(3))).toBeUndefined();
  });
});
