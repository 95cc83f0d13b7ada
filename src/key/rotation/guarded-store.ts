/**
 * The registry's store, for one who goes on with what it has when the disk does not.
 *
 * @module Refusals and failures of the store become values here; everything else is still thrown.
 */
import { isRegistryError, type RegistryError } from "../registry/errors.ts";
import type { RegistryStore } from "../registry/file-store.ts";
import type { StoredRecord } from "../registry/read-state.ts";
import type { RegistryContent } from "../registry/record.ts";

export interface Followed {
  /** What is on disk now, or what was known when there is a problem. */
  readonly stored: StoredRecord;
  readonly problem?: RegistryError;
  /** The file had been removed; it was written again from memory. */
  readonly writtenAgain?: RegistryError;
}

export interface Written {
  /** Absent when nothing was written for sure. */
  readonly stored?: StoredRecord;
  /** With `stored`: the change is durable, its checkpoint is not yet. */
  readonly problem?: RegistryError;
}

export interface GuardedStore {
  /** A file that was removed while this process knows what was in it is no loss yet. */
  readonly follow: (base: StoredRecord, signal: AbortSignal) => Promise<Followed>;
  readonly write: (
    base: StoredRecord | undefined,
    content: RegistryContent,
    signal: AbortSignal,
  ) => Promise<Written>;
}

export function guardedStore(store: RegistryStore): GuardedStore {
  return {
    follow: async (base, signal) => {
      try {
        return { stored: await store.follow(base) };
      } catch (error) {
        const problem = problemOf(error);
        return problem.code === "registry_lost"
          ? await writeAgain(store, base, problem, signal)
          : { stored: base, problem };
      }
    },
    write: async (base, content, signal) => {
      try {
        const { stored, checkpointError } = await store.commit(base, content, signal);
        return checkpointError === undefined ? { stored } : { stored, problem: checkpointError };
      } catch (error) {
        return { problem: problemOf(error) };
      }
    },
  };
}

async function writeAgain(
  store: RegistryStore,
  base: StoredRecord,
  lost: RegistryError,
  signal: AbortSignal,
): Promise<Followed> {
  try {
    return { stored: await store.writeAgain(base, signal), writtenAgain: lost };
  } catch (error) {
    return { stored: base, problem: problemOf(error) };
  }
}

function problemOf(error: unknown): RegistryError {
  if (!isRegistryError(error)) {
    throw error;
  }
  return error;
}
