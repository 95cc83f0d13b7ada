/** @module One writer at a time, by the one kernel lock that Bun offers: SQLite's, which ends with the process that has it. */
import { Database } from "bun:sqlite";
import type { Clock } from "../../base/clock.ts";
import { errnoOf } from "../../base/errno.ts";
import { RegistryError, writeFailure } from "./errors.ts";
import type { StateFiles } from "./file-system.ts";

interface WriterLock {
  release(): void;
}

/** Takes the lock on a file that is there, without waiting; `undefined` while another process or another call holds it. Throws what open(2) throws. */
export type TryLock = (path: string) => WriterLock | undefined;

export const trySqliteLock: TryLock = (path) => {
  const database = new Database(path, { create: false, readwrite: true, strict: true });
  try {
    // No journal file: nothing is ever written, and a killed holder must leave nothing to roll back.
    database.run("PRAGMA busy_timeout = 0; PRAGMA journal_mode = MEMORY;");
    database.run("BEGIN EXCLUSIVE");
  } catch (error) {
    database.close(true);
    const code = errnoOf(error);
    if (code === "SQLITE_BUSY" || code === "SQLITE_LOCKED") {
      return undefined;
    }
    throw error;
  }
  return {
    release: () => {
      try {
        database.run("ROLLBACK");
      } finally {
        database.close(true);
      }
    },
  };
};

export interface LockOptions {
  readonly statePath: string;
  readonly files: StateFiles;
  readonly clock: Pick<Clock, "monotonicMs" | "sleep">;
  readonly tryLock: TryLock;
  readonly lockWaitMs: number;
}

const POLL_MS = 20;

/**
 * Waits for the lock, up to a deadline.
 * @throws RegistryError `registry_locked` or a failure code; the signal's reason when it aborts.
 */
export async function takeLock(options: LockOptions, signal: AbortSignal): Promise<WriterLock> {
  const { clock, files, lockWaitMs, statePath, tryLock } = options;
  const path = `${statePath}.lock`;
  const until = clock.monotonicMs() + lockWaitMs;
  try {
    await createLockFile(files, path);
    for (;;) {
      signal.throwIfAborted();
      const lock = tryLock(path);
      if (lock !== undefined) {
        return lock;
      }
      if (clock.monotonicMs() >= until) {
        break;
      }
      await clock.sleep(POLL_MS, signal);
    }
  } catch (error) {
    throw signal.aborted ? error : writeFailure(error, "lock", path);
  }
  throw new RegistryError({
    code: "registry_locked",
    message: `state.path: another process has locked ${path} for more than ${lockWaitMs} ms; nothing was changed`,
    advice: "find the command or provider that writes the registry (fuser), and let it finish",
  });
}

/** The lock's file is private, so that no other user can take it. It is never opened again here: that would drop the lock. */
async function createLockFile(files: StateFiles, path: string): Promise<void> {
  try {
    await (await files.open(path, "create")).close();
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") {
      throw error;
    }
  }
}
