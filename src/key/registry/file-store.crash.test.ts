/**
 * Every file operation of the store as the place of a power cut or an error: what is loaded after it is the old or the
 * new state, and what was shown once is never lost.
 */
import { describe, expect, test } from "bun:test";
import { type CrashDisk, crashDisk, type Fault, SURVIVALS } from "../../../test/fakes/crash-disk.ts";
import { manualClock } from "../../../test/fakes/manual-clock.ts";
import { rotated, testFirstContent, testIdentity } from "../../../test/fakes/registry-fixture.ts";
import { identityHashes } from "../identity/fingerprint.ts";
import { createRegistryStore, type RegistryStore } from "./file-store.ts";
import type { StoredRecord } from "./read-state.ts";
import type { RegistryContent } from "./record.ts";

const PATH = "/state/key-registry.json";
const GENERATIONS = 3;
const never = new AbortController().signal;

function storeOn(disk: CrashDisk): RegistryStore {
  return createRegistryStore({
    statePath: PATH,
    identity: identityHashes(testIdentity),
    access: "write",
    euid: 1000,
    files: disk.files,
    tryLock: disk.tryLock,
    clock: manualClock(),
    lockWaitMs: 0,
  });
}

async function loaded(disk: CrashDisk): Promise<StoredRecord | undefined> {
  const state = await storeOn(disk).load();
  return state.kind === "found" ? state.stored : undefined;
}

/** Commits generation after generation; tells after each which one is acknowledged. */
async function life(disk: CrashDisk, acknowledged: (generation: number) => void): Promise<void> {
  const store = storeOn(disk);
  const state = await store.load();
  let stored = state.kind === "found" ? state.stored : undefined;
  while ((stored?.record.generation ?? 0) < GENERATIONS) {
    const next: RegistryContent = stored === undefined ? testFirstContent : rotated(stored.record);
    stored = (await store.commit(stored, next, never)).stored;
    acknowledged(stored.record.generation);
  }
}

async function operationsOfALife(): Promise<readonly string[]> {
  const disk = crashDisk("/state");
  await life(disk, () => {});
  return disk.log;
}

async function livesThrough(
  at: number,
  fault: Fault,
): Promise<{ readonly disk: CrashDisk; readonly acknowledged: number }> {
  const disk = crashDisk("/state");
  let acknowledged = 0;
  disk.plan((operation) => (operation === at ? fault : { kind: "none" }));
  await life(disk, (generation) => {
    acknowledged = generation;
  }).catch(() => {});
  return { disk, acknowledged };
}

describe("the store", () => {
  test("a power cut before any operation leaves the old or the new state, never neither", async () => {
    const operations = await operationsOfALife();
    expect(operations.length).toBeGreaterThan(40);
    for (let at = 0; at < operations.length; at += 1) {
      for (const survival of SURVIVALS) {
        const { disk, acknowledged } = await livesThrough(at, { kind: "crash" });
        disk.reboot(survival);
        const first = await loaded(disk);
        const generation = first?.record.generation ?? 0;
        const where = `before ${at} ${operations[at]}, names ${survival.names}, contents ${survival.contents}`;
        expect([acknowledged, acknowledged + 1], where).toContain(generation);

        // What was loaded has been shown: a second power cut at once must not take it away.
        disk.reboot({ names: false, contents: false });
        expect((await loaded(disk))?.hash, where).toBe(first?.hash);

        // The store works from there.
        await life(disk, () => {});
        expect((await loaded(disk))?.record.generation, where).toBe(GENERATIONS);
      }
    }
  });

  test("a second power cut while the first is being recovered from", async () => {
    const { length } = await operationsOfALife();
    for (let first = 0; first < length; first += 1) {
      for (let second = 0; second < length - first; second += 1) {
        const { disk, acknowledged } = await livesThrough(first, { kind: "crash" });
        disk.reboot({ names: true, contents: true });
        disk.plan((operation) => (operation === second ? { kind: "crash" } : { kind: "none" }));
        let later = acknowledged;
        await life(disk, (generation) => {
          later = generation;
        }).catch(() => {});
        disk.reboot({ names: false, contents: false });
        const generation = (await loaded(disk))?.record.generation ?? 0;
        expect(generation, `${first} ${second}`).toBeGreaterThanOrEqual(later);
      }
    }
  });

  const faults: readonly Fault[] = [
    { kind: "fails", errno: "EIO" },
    { kind: "fails", errno: "ENOSPC" },
    { kind: "fails", errno: "EROFS" },
    { kind: "happens_and_fails", errno: "EIO" },
    { kind: "short" },
  ];
  test.each(faults)("an error at any operation leaves the old or the new state: %p", async (fault) => {
    const operations = await operationsOfALife();
    for (let at = 0; at < operations.length; at += 1) {
      const { disk, acknowledged } = await livesThrough(at, fault);
      const where = `at ${at} ${operations[at]}`;
      const after = await loaded(disk);
      expect([acknowledged, acknowledged + 1], where).toContain(after?.record.generation ?? 0);
      disk.reboot({ names: false, contents: false });
      expect((await loaded(disk))?.hash, where).toBe(after?.hash);
      await life(disk, () => {});
      expect((await loaded(disk))?.record.generation, where).toBe(GENERATIONS);
    }
  });

  test("no leftover stays behind for good", async () => {
    const operations = await operationsOfALife();
    for (let at = 0; at < operations.length; at += 1) {
      const { disk } = await livesThrough(at, { kind: "crash" });
      disk.reboot({ names: true, contents: true });
      await life(disk, () => {});
      const store = storeOn(disk);
      const state = await store.load();
      if (state.kind === "found") {
        await store.commit(state.stored, state.stored.record, never);
      }
      expect([...disk.names()].sort()).toEqual([PATH, `${PATH}.checkpoint`, `${PATH}.lock`]);
    }
  });
});
