/** @module Opens a file once, also behind links as kubelet makes them, checks it on the open descriptor, and reads it bounded. */
import { constants } from "node:fs";
import { type FileHandle, lstat, open, readlink } from "node:fs/promises";
import { dirname, posix } from "node:path";
import { errnoOf } from "./errno.ts";
import { type ErrorClass, ProviderError } from "./error-class.ts";
import { readFileBounded } from "./read-bounded.ts";

export interface SafeFileRules {
  /** What the file is, for the message: "the CA bundle". */
  readonly what: string;
  readonly field: string;
  readonly maxBytes: number;
  /** A secret is not readable by others, and a link to it stays in its directory. */
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

/**
 * Reads a whole file of at most `maxBytes` bytes after checking type, owner and mode with fstat(2) on the descriptor
 * that is then read, so that nothing can be swapped in between.
 * @throws SafeFileError that names the path, the field and the fix.
 */
export async function readSafeFile(path: string, rules: SafeFileRules) {
  const fail: Fail = (code, problem, advice, cause) =>
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
    const inode = `${stat.dev}:${stat.ino}`;
    const identity: FileIdentity = { inode, changedNs: String(stat.ctimeNs), sizeBytes: bytes.length };
    return { bytes, identity };
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

/** kubelet needs two: the file's link and that of `..data`. */
const MAX_LINKS = 4;
/** kubelet may replace `..data` between two steps. */
const MAX_TRIES = 3;
const STICKY = 0o1000;

/** Opens a file through links that stay in its directory; `undefined` when one leads out, or another user could replace it. */
export async function openLinkedFile(path: string, serviceUid: number): Promise<FileHandle | undefined> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await openOnce(path, serviceUid);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT" || attempt === MAX_TRIES) {
        throw error;
      }
    }
  }
}

async function openOnce(path: string, serviceUid: number): Promise<FileHandle | undefined> {
  const directory = await open(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  let at = directory;
  let names: readonly string[] = [posix.basename(path)];
  let links = 0;
  try {
    for (;;) {
      if (!(await isSafeDirectory(at, serviceUid))) {
        return undefined;
      }
      const [name = "", ...rest] = names;
      const entry = `/proc/self/fd/${at.fd}/${name}`;
      const stat = await lstat(entry);
      if (stat.isSymbolicLink()) {
        links += 1;
        const target = innerPath(await readlink(entry), dirname(path), at === directory);
        if (target === undefined || links > MAX_LINKS || !isTrusted(stat.uid, serviceUid)) {
          return undefined;
        }
        names = [...target, ...rest];
      } else if (rest.length === 0) {
        return await open(entry, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
      } else {
        const next = await open(entry, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
        if (at !== directory) {
          await at.close();
        }
        at = next;
        names = rest;
      }
    }
  } finally {
    if (at !== directory) {
      await at.close();
    }
    await directory.close();
  }
}

/** The names of a link's target below its directory; an absolute target must name a file of that very directory. */
function innerPath(target: string, directory: string, isTop: boolean): readonly string[] | undefined {
  const inner =
    isTop && posix.dirname(target) === directory
      ? posix.basename(target)
      : target.startsWith("/")
        ? ""
        : target;
  const names = inner.split("/");
  return names.every((name) => name !== "" && name !== "." && name !== "..") ? names : undefined;
}

/** In a sticky directory, such as that of a projected volume, only the owner of an entry can replace it. */
async function isSafeDirectory(directory: FileHandle, serviceUid: number): Promise<boolean> {
  const { uid, mode } = await directory.stat();
  return isTrusted(uid, serviceUid) && ((mode & 0o022) === 0 || (mode & STICKY) !== 0);
}

function isTrusted(uid: number, serviceUid: number): boolean {
  return uid === 0 || uid === serviceUid;
}
