/**
 * @module A process that writes registries until it kills itself before a chosen file operation. Run by the crash test: `bun
 * registry-writer.ts STATE_PATH OPERATION`. Prints each generation that it was told is durable, and at its own end `done`.
 */
import { writeSync } from "node:fs";
import { systemClock } from "../../src/base/clock.ts";
import { identityHashes } from "../../src/key/identity/fingerprint.ts";
import { createRegistryStore } from "../../src/key/registry/file-store.ts";
import { type OpenFile, type StateFiles, systemStateFiles } from "../../src/key/registry/file-system.ts";
import type { StoredRecord } from "../../src/key/registry/read-state.ts";
import { trySqliteLock } from "../../src/key/registry/writer-lock.ts";
import { rotated, testFirstContent, testIdentity } from "./registry-fixture.ts";

const GENERATIONS = 2;

/** Calls `before` ahead of every operation, those on open files included. */
function hooked(files: StateFiles, before: () => void): StateFiles {
  const wrap =
    <A extends unknown[], R>(run: (...args: A) => R) =>
    (...args: A): R => {
      before();
      return run(...args);
    };
  const wrapFile = (file: OpenFile): OpenFile => ({
    facts: wrap(file.facts),
    read: wrap(file.read),
    write: wrap(file.write),
    sync: wrap(file.sync),
    close: wrap(file.close),
  });
  return {
    open: wrap(async (path, purpose) => wrapFile(await files.open(path, purpose))),
    stat: wrap(files.stat),
    rename: wrap(files.rename),
    unlink: wrap(files.unlink),
  };
}

async function write(statePath: string, killBefore: number): Promise<void> {
  let operation = 0;
  const store = createRegistryStore({
    statePath,
    identity: identityHashes(testIdentity),
    access: "write",
    euid: process.geteuid?.() ?? 0,
    files: hooked(systemStateFiles, () => {
      if (operation === killBefore) {
        process.kill(process.pid, "SIGKILL");
      }
      operation += 1;
    }),
    tryLock: trySqliteLock,
    clock: systemClock,
    lockWaitMs: 1000,
  });
  const state = await store.load();
  let stored: StoredRecord | undefined = state.kind === "found" ? state.stored : undefined;
  while ((stored?.record.generation ?? 0) < GENERATIONS) {
    const content = stored === undefined ? testFirstContent : rotated(stored.record);
    ({ stored } = await store.commit(stored, content, new AbortController().signal));
    writeSync(1, `${stored.record.generation}\n`);
  }
  writeSync(1, `done ${operation}\n`);
}

void write(process.argv[2] ?? "", Number(process.argv[3]));
