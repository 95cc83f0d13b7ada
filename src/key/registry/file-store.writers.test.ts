/** The store on real files: several writers, and a registry that was lost. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { rotated, testFirstContent } from "../../../test/fakes/registry-fixture.ts";
import { codeOf, type RegistryOnDisk, registryOnDisk } from "../../../test/fakes/registry-on-disk.ts";
import { trySqliteLock } from "./writer-lock.ts";

const never = new AbortController().signal;
let disk: RegistryOnDisk;
beforeEach(() => {
  disk = registryOnDisk();
});
afterEach(() => disk.remove());

describe("a registry that was lost", () => {
  test("is made again only when its file is gone", async () => {
    const stored = await disk.written(3);
    expect(await codeOf(disk.open().rebuild(testFirstContent, never))).toBe("registry_changed");
    writeFileSync(disk.path, "another program's");
    expect(await codeOf(disk.open().rebuild(testFirstContent, never))).toBe("registry_changed");
    rmSync(disk.path);
    const again = await disk.open().rebuild(stored.record, never);
    expect(again.stored.record.generation).toBe(1);
    expect(await disk.open().load()).toEqual({ kind: "found", stored: again.stored });
  });

  test("is written again by who still knows it, while no checkpoint says otherwise", async () => {
    const stored = await disk.written(3);
    const before = readFileSync(disk.path, "latin1");
    expect(await codeOf(disk.open().writeAgain(stored, never))).toBe("registry_changed");
    rmSync(disk.path);
    expect((await disk.open().writeAgain(stored, never)).hash).toBe(stored.hash);
    expect(readFileSync(disk.path, "latin1")).toBe(before);
    const later = await disk.open().commit(stored, rotated(stored.record), never);
    await disk.open().commit(later.stored, rotated(later.stored.record), never);
    rmSync(disk.path);
    expect(await codeOf(disk.open().writeAgain(stored, never))).toBe("checkpoint_disagrees");
  });

  test("is not made again over what the Go implementation left", async () => {
    writeFileSync(disk.checkpoint, '{"schemaVersion":"keyregistry.openbao-kms/checkpoint/v1alpha1"}');
    chmodSync(disk.checkpoint, 0o600);
    expect(await codeOf(disk.open().rebuild(testFirstContent, never))).toBe("checkpoint_of_go");
  });
});

describe("two writers", () => {
  test("the second one gets an error, and follows the first one's chain", async () => {
    const base = await disk.written(1);
    const command = disk.open();
    const second = await command.commit(base, rotated(base.record), never);
    const third = await command.commit(second.stored, rotated(second.stored.record), never);

    const daemon = disk.open();
    expect(await codeOf(daemon.commit(base, rotated(base.record), never))).toBe("registry_changed");
    expect((await daemon.follow(base)).hash).toBe(third.stored.hash);
    expect(await daemon.follow(third.stored)).toBe(third.stored);
  });

  test("a stranger's registry is not adopted while running", async () => {
    const mine = await disk.written(2);
    rmSync(disk.path);
    rmSync(disk.checkpoint);
    expect(await codeOf(disk.open().follow(mine))).toBe("registry_lost");
    const first = await disk.open().commit(undefined, { ...testFirstContent, notes: [] }, never);
    expect(await codeOf(disk.open().follow(mine))).toBe("registry_diverged");
    await disk.open().commit(first.stored, rotated(first.stored.record), never);
    expect(await codeOf(disk.open().follow(mine))).toBe("registry_diverged");
    expect(await codeOf(disk.open().commit(mine, rotated(mine.record), never))).toBe("registry_changed");
  });

  test("waits for a lock that is held, but not forever, and gives up when aborted", async () => {
    const base = await disk.written(1);
    const held = trySqliteLock(`${disk.path}.lock`);
    expect(await codeOf(disk.open().commit(base, rotated(base.record), never))).toBe("registry_locked");
    const stop = new AbortController();
    const waiting = disk.open({ lockWaitMs: 60_000 }).commit(base, rotated(base.record), stop.signal);
    stop.abort(new Error("stopped"));
    expect(waiting).rejects.toThrow("stopped");
    const released = disk.open({ lockWaitMs: 5000 }).commit(base, rotated(base.record), never);
    held?.release();
    expect((await released).stored.record.generation).toBe(2);
  });

  test("readers in between always see a whole state", async () => {
    const writer = disk.open();
    let stored = await disk.written(1);
    const seen: number[] = [];
    const reading = (async () => {
      while (stored.record.generation < 15) {
        const state = await disk.open({ access: "read" }).load();
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
