/** @module Replaces or removes a file so that a crash at any instruction leaves the old or the new content. */
import { dirname } from "node:path";
import { errnoOf } from "../../base/errno.ts";
import { asWriteFailure } from "./errors.ts";
import type { OpenFile, StateFiles } from "./file-system.ts";

/**
 * The writer lock must be held: the new file has a fixed name.
 * @throws RegistryError with a failure code; the file then has its old or its new content.
 */
export async function replaceFile(files: StateFiles, path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.new`;
  try {
    await removeLeftover(files, temporary);
    const file = await files.open(temporary, "create");
    await finish(file, async () => {
      await writeAll(file, bytes);
      await file.sync();
    });
    await files.rename(temporary, path);
    await syncDirectoryOf(files, path);
  } catch (error) {
    // The name may already be gone, or nothing can be removed here: the next write removes it under the lock.
    await files.unlink(temporary).catch(() => {});
    throw asWriteFailure(error, path);
  }
}

/**
 * Durable; nothing when there is no such file.
 * @throws RegistryError with a failure code.
 */
export async function removeFile(files: StateFiles, path: string): Promise<void> {
  try {
    await removeLeftover(files, path);
    await syncDirectoryOf(files, path);
  } catch (error) {
    throw asWriteFailure(error, path);
  }
}

/** What was renamed or removed beside `path` survives a power cut. */
export async function syncDirectoryOf(files: StateFiles, path: string): Promise<void> {
  const directory = await files.open(dirname(path), "directory");
  await finish(directory, () => directory.sync());
}

async function finish(file: OpenFile, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } finally {
    await file.close();
  }
}

async function writeAll(file: OpenFile, bytes: Uint8Array): Promise<void> {
  for (let rest = bytes; rest.length > 0; ) {
    const written = await file.write(rest);
    if (written === 0) {
      throw Object.assign(new Error("write(2) wrote nothing"), { code: "ENOSPC" });
    }
    rest = rest.subarray(written);
  }
}

async function removeLeftover(files: StateFiles, path: string): Promise<void> {
  try {
    await files.unlink(path);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") {
      throw error;
    }
  }
}
