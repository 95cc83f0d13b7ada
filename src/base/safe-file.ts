/** @module Opens a file once, checks it on the open descriptor, and reads it bounded. */
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { errnoOf } from "./errno.ts";
import { type ErrorClass, ProviderError } from "./error-class.ts";
import { openLinkedFile } from "./linked-file.ts";
import { readFileBounded } from "./read-bounded.ts";

export interface SafeFileRules {
  /** What the file is, for the message: "the CA bundle". */
  readonly what: string;
  readonly field: string;
  readonly maxBytes: number;
  /** A secret is not readable by others, and a link to it stays in its directory (linked-file.ts). */
  readonly secret: boolean;
  /** Besides root, the only owner that is accepted. */
  readonly serviceUid: number;
  readonly errorClass: ErrorClass;
}

export type SafeFileCode =
  | "file_missing"
  | "file_unreadable"
  | "file_not_regular"
  | "file_symlink"
  | "file_wrong_owner"
  | "file_writable_by_others"
  | "file_readable_by_others"
  | "file_too_large"
  | "file_empty";

export class SafeFileError extends ProviderError<SafeFileCode> {}

/** What identifies one state of a file; a change of any part means that it was replaced or written. */
export interface FileIdentity {
  readonly inode: string;
  readonly changedNs: string;
  readonly sizeBytes: number;
}

export function isSameFile(a: FileIdentity, b: FileIdentity): boolean {
  return a.inode === b.inode && a.changedNs === b.changedNs && a.sizeBytes === b.sizeBytes;
}

interface SafeFile {
  readonly bytes: Uint8Array;
  readonly identity: FileIdentity;
}

/**
 * Reads a whole file of at most `maxBytes` bytes after checking type, owner and mode with fstat(2) on the descriptor
 * that is then read, so that nothing can be swapped in between.
 * @throws SafeFileError that names the path, the field and the fix.
 */
export async function readSafeFile(path: string, rules: SafeFileRules): Promise<SafeFile> {
  const fail = (code: SafeFileCode, problem: string, advice: string, cause?: unknown): SafeFileError =>
    new SafeFileError({
      code,
      errorClass: rules.errorClass,
      message: `${rules.field}: ${rules.what} ${path} ${problem}`,
      advice,
      cause,
    });

  const handle = await openForReading(path, rules, fail);
  try {
    const stat = await handle.stat({ bigint: true });
    const mode = Number(stat.mode & 0o7777n);
    if (!stat.isFile()) {
      throw fail("file_not_regular", "is not a regular file", `put a regular file at ${path}`);
    }
    if (stat.uid !== 0n && stat.uid !== BigInt(rules.serviceUid)) {
      throw fail(
        "file_wrong_owner",
        `belongs to uid ${stat.uid}, which is neither root nor the service's user (uid ${rules.serviceUid})`,
        `chown root ${path}`,
      );
    }
    if ((mode & 0o022) !== 0) {
      throw fail("file_writable_by_others", `can be written by its group or by others`, `chmod go-w ${path}`);
    }
    if (rules.secret && (mode & 0o007) !== 0) {
      throw fail("file_readable_by_others", "can be read by every user", `chmod o-rwx ${path}`);
    }
    const bytes = await readFileBounded(handle, rules.maxBytes);
    if (bytes.length > rules.maxBytes) {
      throw fail("file_too_large", `is larger than ${rules.maxBytes} bytes`, `put the right file at ${path}`);
    }
    if (bytes.length === 0) {
      throw fail("file_empty", "is empty", `write ${rules.what} to ${path}`);
    }
    return {
      bytes,
      identity: {
        inode: `${stat.dev}:${stat.ino}`,
        changedNs: String(stat.ctimeNs),
        sizeBytes: bytes.length,
      },
    };
  } finally {
    await handle.close();
  }
}

type Fail = (code: SafeFileCode, problem: string, advice: string, cause?: unknown) => SafeFileError;

async function openForReading(
  path: string,
  { secret, serviceUid }: SafeFileRules,
  fail: Fail,
): Promise<FileHandle> {
  // O_NONBLOCK: opening a FIFO must not hang; it has no effect on a regular file.
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | (secret ? constants.O_NOFOLLOW : 0);
  try {
    return await open(path, flags).catch(async (error: unknown) => {
      const handle = errnoOf(error) === "ELOOP" ? await openLinkedFile(path, serviceUid) : undefined;
      if (handle === undefined) {
        throw error;
      }
      return handle;
    });
  } catch (error) {
    switch (errnoOf(error)) {
      case "ENOENT":
      case "ENOTDIR":
        throw fail("file_missing", "does not exist", `create ${path}, or name the right file`, error);
      case "ELOOP":
        throw fail(
          "file_symlink",
          "is a symbolic link that leads out of its directory, or that another user could replace",
          `put the file itself at ${path}`,
          error,
        );
      case "EACCES":
        throw fail(
          "file_unreadable",
          "cannot be opened: permission denied",
          `let the service's user read ${path}`,
          error,
        );
      default:
        throw fail("file_unreadable", "cannot be opened", `see why ${path} cannot be read`, error);
    }
  }
}
