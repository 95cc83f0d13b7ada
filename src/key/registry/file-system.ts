/** @module The file operations of the registry as effects, so that a test can fail or kill at each of them, and the durable ones. */
import { constants, type Stats } from "node:fs";
import { type FileHandle, open, rename, stat, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { errnoOf } from "../../base/errno.ts";
import { readFileBounded } from "../../base/read-bounded.ts";
import { asWriteFailure } from "./errors.ts";

export interface FileFacts {
  readonly kind: "file" | "directory" | "other";
  readonly uid: number;
  /** Permission bits only. */
  readonly mode: number;
  readonly sizeBytes: number;
  /** Device, inode and change time: differs as soon as the file was replaced or written. */
  readonly identity: string;
}

export interface OpenFile {
  readonly facts: () => Promise<FileFacts>;
  /** All bytes, at most `maxBytes` plus one; more than `maxBytes` means that the file is too large. */
  readonly read: (maxBytes: number) => Promise<Uint8Array>;
  readonly write: (bytes: Uint8Array) => Promise<number>;
  readonly sync: () => Promise<void>;
  readonly close: () => Promise<void>;
}

export type OpenPurpose =
  /** Existing, for reading; never through a symbolic link, never waiting for the other end of a FIFO. */
  | "read"
  /** New, for writing, mode 0600; fails when anything is there. */
  | "create"
  /** A directory, to make what happened in it durable. */
  | "directory";

export interface StateFiles {
  readonly open: (path: string, purpose: OpenPurpose) => Promise<OpenFile>;
  readonly stat: (path: string) => Promise<FileFacts>;
  readonly rename: (from: string, to: string) => Promise<void>;
  readonly unlink: (path: string) => Promise<void>;
}

const FLAGS: Readonly<Record<OpenPurpose, number>> = {
  read: constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
  create: constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
  directory: constants.O_RDONLY | constants.O_DIRECTORY,
};

export const systemStateFiles: StateFiles = {
  open: async (path, purpose) => openFile(await open(path, FLAGS[purpose], 0o600)),
  stat: async (path) => factsOf(await stat(path)),
  rename,
  unlink,
};

function openFile(handle: FileHandle): OpenFile {
  return {
    facts: async () => factsOf(await handle.stat()),
    read: (maxBytes) => readFileBounded(handle, maxBytes),
    write: async (bytes) => (await handle.write(bytes)).bytesWritten,
    sync: () => handle.sync(),
    close: () => handle.close(),
  };
}

function factsOf(stats: Stats): FileFacts {
  return {
    kind: stats.isFile() ? "file" : stats.isDirectory() ? "directory" : "other",
    uid: stats.uid,
    mode: stats.mode & 0o7777,
    sizeBytes: stats.size,
    identity: `${stats.dev}:${stats.ino}:${stats.ctimeMs}:${stats.size}`,
  };
}

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
