/** @module The file operations of the registry as effects, so that a test can fail or kill at each of them. */
import { constants, type Stats } from "node:fs";
import { type FileHandle, open, rename, stat, unlink } from "node:fs/promises";
import { readFileBounded } from "../../base/read-bounded.ts";

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
