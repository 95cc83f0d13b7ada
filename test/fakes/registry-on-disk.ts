/**
 * @module A state directory of its own with a store on it, on real files. Made for one test and removed after it by `remove`.
 */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { identityHashes } from "../../src/key/identity/fingerprint.ts";
import { isRegistryError, type RegistryCode } from "../../src/key/registry/errors.ts";
import {
  createRegistryStore,
  type RegistryStore,
  type RegistryStoreOptions,
} from "../../src/key/registry/file-store.ts";
import { systemStateFiles } from "../../src/key/registry/file-system.ts";
import { trySqliteLock } from "../../src/key/registry/writer-lock.ts";
import { rotated, testFirstContent, testIdentity } from "./registry-fixture.ts";

const never = new AbortController().signal;

export function registryOnDisk() {
  const directory = mkdtempSync(join(tmpdir(), "registry-"));
  chmodSync(directory, 0o750);
  const path = join(directory, "key-registry.json");
  const open = (change: Partial<RegistryStoreOptions> = {}): RegistryStore =>
    createRegistryStore({
      statePath: path,
      identity: identityHashes(testIdentity),
      access: "write",
      euid: process.geteuid?.() ?? 0,
      files: systemStateFiles,
      tryLock: trySqliteLock,
      clock: systemClock,
      lockWaitMs: 60,
      ...change,
    });
  return {
    directory,
    path,
    checkpoint: `${path}.checkpoint`,
    open,
    /** Commits up to a generation, one rotation each. */
    written: async (generations: number) => {
      let { stored } = await open().commit(undefined, testFirstContent, never);
      while (stored.record.generation < generations) {
        ({ stored } = await open().commit(stored, rotated(stored.record), never));
      }
      return stored;
    },
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

export type RegistryOnDisk = ReturnType<typeof registryOnDisk>;

/** The code with which it was refused, or `done`. */
export async function codeOf(attempt: Promise<unknown>): Promise<RegistryCode | "done"> {
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
