/** @module Opens a file through symbolic links that stay in its own directory, as kubelet makes them. */
import { constants } from "node:fs";
import { type FileHandle, lstat, open, readlink } from "node:fs/promises";
import { dirname, posix } from "node:path";
import { errnoOf } from "./errno.ts";

/** kubelet needs two: the file's link and that of `..data`. */
const MAX_LINKS = 4;
/** kubelet may replace `..data` between two steps. */
const MAX_TRIES = 3;
const STICKY = 0o1000;

/**
 * The open file, or `undefined` when a link leads out of the directory, or a directory or link belongs to another user or
 * may be replaced by one.
 * @throws the system's error when a file or directory cannot be opened.
 */
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
