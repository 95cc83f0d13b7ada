/** @module Where the PIN latch is kept, and the lock that allows one login at a time on this machine. */
import { Database, SQLiteError } from "bun:sqlite";
import { lstatSync } from "node:fs";
import { dirname } from "node:path";
import type { Clock } from "../base/clock.ts";
import { asDirectoryOwner } from "../base/drop-privileges.ts";
import { decodePinLatch, type PinLatch } from "./pin-latch.ts";

/** The record, held alone until {@link HeldRecord.release}. */
export interface HeldRecord {
  readonly read: () => PinLatch | undefined;
  readonly write: (latch: PinLatch | undefined) => void;
  readonly release: () => void;
}

export type HoldRecord = (signal: AbortSignal) => Promise<HeldRecord>;

/** Why the record cannot be used; the login is then not tried. */
export class LoginRecordError extends Error {
  readonly reason: "damaged" | "unusable";

  constructor(reason: "damaged" | "unusable", cause?: unknown) {
    super(reason, { cause });
    this.name = "LoginRecordError";
    this.reason = reason;
  }
}

const POLL_MS = 25;
const DAMAGE: ReadonlySet<string> = new Set(["SQLITE_CORRUPT", "SQLITE_NOTADB"]);

/**
 * Waits for the record until the signal aborts.
 * @throws LoginRecordError, or the signal's reason.
 */
export function loginRecord(path: string, clock: Clock): HoldRecord {
  // A doctor that root runs opens files in the service's directory, which the service can swap for links.
  const asOwner = <T>(work: () => T): T => {
    try {
      return asDirectoryOwner(dirname(path), work);
    } catch (error) {
      const isDamage = error instanceof SQLiteError && DAMAGE.has(error.code ?? "");
      throw error instanceof LoginRecordError
        ? error
        : new LoginRecordError(isDamage ? "damaged" : "unusable", error);
    }
  };
  return async (signal) => {
    for (;;) {
      signal.throwIfAborted();
      const database = asOwner(() => tryToHold(path));
      if (database !== undefined) {
        return {
          read: () => asOwner(() => readLatch(database)),
          write: (latch) => asOwner(() => writeLatch(database, latch)),
          release: () => asOwner(() => database.close()),
        };
      }
      await clock.sleep(POLL_MS, signal);
    }
  };
}

function tryToHold(path: string): Database | undefined {
  // SQLite follows links; the record is a file of the directory's owner, and nothing else.
  if (lstatSync(path, { throwIfNoEntry: false })?.isFile() === false) {
    throw new LoginRecordError("unusable");
  }
  let database: Database | undefined;
  try {
    database = openRecordDatabase(path);
    database.run("BEGIN EXCLUSIVE");
    database.run(
      "CREATE TABLE IF NOT EXISTS pin_latch (one INTEGER PRIMARY KEY CHECK (one = 1), record TEXT NOT NULL)",
    );
    database.run("COMMIT");
    return database;
  } catch (error) {
    database?.close();
    if (error instanceof SQLiteError && error.code === "SQLITE_BUSY") {
      return undefined;
    }
    throw error;
  }
}

/** The lock of the first transaction stays until close; each commit waits for the disk, and for the directory. */
export function openRecordDatabase(path: string): Database {
  const database = new Database(path, { create: true, readwrite: true, strict: true });
  database.run("PRAGMA locking_mode = EXCLUSIVE");
  database.run("PRAGMA synchronous = EXTRA");
  return database;
}

function readLatch(database: Database): PinLatch | undefined {
  const row = database.query<{ record: string }, []>("SELECT record FROM pin_latch").get();
  if (row === null) {
    return undefined;
  }
  const latch = decodePinLatch(row.record);
  if (latch === undefined) {
    throw new LoginRecordError("damaged");
  }
  return latch;
}

function writeLatch(database: Database, latch: PinLatch | undefined): void {
  if (latch === undefined) {
    database.run("DELETE FROM pin_latch");
  } else {
    database.run("INSERT OR REPLACE INTO pin_latch VALUES (1, ?)", [JSON.stringify(latch)]);
  }
}
