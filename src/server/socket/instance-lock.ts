/** @module One instance for each socket path. */
import { closeSync, constants, openSync } from "node:fs";
import { basename } from "node:path";
import { errnoOf } from "../../base/errno.ts";
import { ServerError, socketError } from "../errors.ts";
import { lstatIfThere, openSocketDirectory, type SocketDirectory } from "./bind-socket.ts";
import { makeSocketDirectory, type SocketDirectoryRules } from "./socket-directory.ts";

export interface InstanceLock {
  release(): void;
}

export interface InstanceLockOptions {
  /** The socket's path. */
  readonly path: string;
  readonly ownerUid: number;
  /** Takes a lock on that file, which is there, that the kernel releases with the process, without waiting; `undefined` while another holds it. */
  readonly tryLock: (path: string) => InstanceLock | undefined;
}

/** One lock file for each socket path; it is never removed, since removing it would let two processes hold two locks. */
export function takeInstanceLock(
  rules: SocketDirectoryRules,
  { path: socketPath, ownerUid, tryLock }: InstanceLockOptions,
): InstanceLock {
  const path = `${socketPath}.lock`;
  let directory: SocketDirectory | undefined;
  try {
    directory = openSocketDirectory(rules.directory, makeSocketDirectory(rules));
    createLockFile(directory.at(basename(path)));
  } catch (error) {
    throw error instanceof ServerError ? error : lockUnusable(path, error);
  } finally {
    directory?.close();
  }
  const stat = lstatIfThere(path);
  if (stat !== undefined && (!stat.isFile() || stat.uid !== BigInt(ownerUid) || stat.nlink !== 1n)) {
    throw socketError(
      "lock_not_ours",
      `${path} is not a regular file of the provider's user`,
      `examine ${path}, then remove it`,
    );
  }
  let lock: InstanceLock | undefined;
  try {
    lock = tryLock(path);
  } catch (error) {
    throw lockUnusable(path, error);
  }
  if (lock === undefined) {
    throw socketError(
      "instance_running",
      `another instance serves ${basename(socketPath)} (it has locked ${path})`,
      "stop the other instance first; this start did not affect it",
    );
  }
  return lock;
}

/**
 * Made below the directory's handle, so that a directory that was swapped gets no file of ours; taking the lock itself
 * makes none. A file that is there is not opened: closing it would drop the lock that this process may hold on it.
 */
function createLockFile(path: string): void {
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  try {
    closeSync(openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600));
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") {
      throw error;
    }
  }
}

function lockUnusable(path: string, cause: unknown): ServerError {
  return socketError("socket_bind_failed", `the instance lock ${path} cannot be opened`, undefined, cause);
}
