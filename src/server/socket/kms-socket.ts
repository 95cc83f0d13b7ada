/** @module The socket from start to stop: one instance, one socket, made again when it is lost. */
import { closeSync, constants, openSync } from "node:fs";
import type { Server, Socket } from "node:net";
import { basename, dirname } from "node:path";
import type { Clock } from "../../base/clock.ts";
import { errnoOf } from "../../base/errno.ts";
import { ServerError } from "../errors.ts";
import { makeSocketDirectory, type SocketDirectoryRules } from "./socket-directory.ts";
import {
  bindSocket,
  checkSocketRules,
  lstatIfThere,
  occupied,
  openSocketDirectory,
  removeSocket,
  removeUnfinishedSockets,
  type SocketDirectory,
  type SocketFileRules,
} from "./bind-socket.ts";
import { examineSocketPath } from "./socket-occupant.ts";

export interface KmsSocketOptions {
  readonly path: string;
  /** Permission bits, at most 0660. */
  readonly mode: number;
  readonly ownerUid: number;
  readonly groupGid: number;
  /** Names for the install command in a message. */
  readonly ownerName: string;
  readonly groupName: string;
  /** Set with `server.createDirectory`; see SocketDirectoryRules. */
  readonly mountPoints?: ReadonlySet<string> | undefined;
  readonly accept: (socket: Socket) => void;
  /** Takes a lock on that file, which is there, that the kernel releases with the process, without waiting; `undefined` while another holds it. */
  readonly tryLock: (path: string) => { release(): void } | undefined;
  readonly clock: Clock;
  readonly watchIntervalMs: number;
  readonly onEvent: (event: SocketEvent) => void;
}

export type SocketEvent =
  /** A predecessor's socket, on which no process listened, was removed at start. */
  | { readonly kind: "stale_removed" }
  /** The socket was gone or altered, and was made again; to be counted as a restart of the socket. */
  | { readonly kind: "restarted" }
  /** No new connection can come in, for this reason; said once per reason. */
  | { readonly kind: "not_ready"; readonly error: ServerError }
  /** New connections can come in again. */
  | { readonly kind: "ready" };

export interface KmsSocket {
  /** Why no new connection can come in; `undefined` while all is well. */
  readonly problem: ServerError | undefined;
  /** Stops listening and removes the socket that this process made; accepted connections continue. May be called again. */
  close(): Promise<void>;
}

interface Listening {
  readonly directory: SocketDirectory;
  readonly server: Server;
  readonly inode: bigint;
}

/**
 * Takes the instance lock, removes a stale socket, listens and verifies.
 * @throws ServerError of class `config_invalid` or `socket_unavailable`; nothing that another made has been touched.
 */
export async function openKmsSocket(options: KmsSocketOptions): Promise<KmsSocket> {
  const file: SocketFileRules = options;
  checkSocketRules(file);
  const rules: SocketDirectoryRules = { ...options, directory: dirname(options.path) };
  const lock = takeInstanceLock(rules, options);

  let listening: Listening | undefined;
  let problem: ServerError | undefined;

  async function bind(): Promise<Listening> {
    const directory = openSocketDirectory(rules.directory, makeSocketDirectory(rules));
    try {
      await clearPath(directory);
      return { directory, ...(await bindSocket(directory, file, options.accept)) };
    } catch (error) {
      directory.close();
      throw error;
    }
  }

  async function clearPath(directory: SocketDirectory): Promise<void> {
    removeUnfinishedSockets(directory, file);
    const occupant = await examineSocketPath(directory, file);
    switch (occupant.kind) {
      case "nothing":
        return;
      case "stale":
        if (removeSocket(directory, file, occupant.inode)) {
          options.onEvent({ kind: "stale_removed" });
        }
        return;
      case "live":
        throw new ServerError({
          code: "socket_live",
          errorClass: "socket_unavailable",
          message: `server.socketPath: another process listens at ${file.path}`,
          advice: `find it: ss -xlp | grep ${file.path}`,
        });
      case "foreign":
        throw occupied(file.path, occupant.what);
    }
  }

  /** Whether the socket is where it was made, as it was made. */
  function inPlace({ inode }: Listening): boolean {
    const stat = lstatIfThere(file.path);
    return (
      stat !== undefined &&
      stat.isSocket() &&
      stat.ino === inode &&
      stat.gid === BigInt(file.groupGid) &&
      Number(stat.mode & 0o7777n) === file.mode
    );
  }

  async function restoreIfLost(): Promise<void> {
    try {
      makeSocketDirectory(rules);
      if (listening === undefined || !inPlace(listening)) {
        letGo(listening);
        listening = undefined;
        listening = await bind();
        options.onEvent({ kind: "restarted" });
      }
      if (problem !== undefined) {
        problem = undefined;
        options.onEvent({ kind: "ready" });
      }
    } catch (error) {
      const found = asServerError(error);
      if (found.code !== problem?.code) {
        options.onEvent({ kind: "not_ready", error: found });
      }
      problem = found;
    }
  }

  function letGo(old: Listening | undefined): void {
    if (old !== undefined) {
      removeSocket(old.directory, file, old.inode);
      old.server.close();
      old.directory.close();
    }
  }

  try {
    listening = await bind();
  } catch (error) {
    lock.release();
    throw asServerError(error);
  }

  const stop = new AbortController();
  const watching = (async () => {
    while (!stop.signal.aborted) {
      await options.clock.sleep(options.watchIntervalMs, stop.signal);
      await restoreIfLost();
    }
  })().catch(() => {
    // The sleep was ended by close(); restoreIfLost() itself never rejects.
  });

  let closing: Promise<void> | undefined;
  async function close(): Promise<void> {
    stop.abort();
    await watching;
    letGo(listening);
    lock.release();
  }

  return {
    get problem() {
      return problem;
    },
    close: () => (closing ??= close()),
  };
}

/** One lock file for each socket path; it is never removed, since removing it would let two processes hold two locks. */
function takeInstanceLock(rules: SocketDirectoryRules, options: KmsSocketOptions): { release(): void } {
  const path = `${options.path}.lock`;
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
  if (stat !== undefined && (!stat.isFile() || stat.uid !== BigInt(options.ownerUid) || stat.nlink !== 1n)) {
    throw new ServerError({
      code: "lock_not_ours",
      errorClass: "socket_unavailable",
      message: `server.socketPath: ${path} is not a regular file of the provider's user`,
      advice: `examine ${path}, then remove it`,
    });
  }
  let lock: { release(): void } | undefined;
  try {
    lock = options.tryLock(path);
  } catch (error) {
    throw lockUnusable(path, error);
  }
  if (lock === undefined) {
    throw new ServerError({
      code: "instance_running",
      errorClass: "socket_unavailable",
      message: `server.socketPath: another instance serves ${basename(options.path)} (it has locked ${path})`,
      advice: "stop the other instance first; this start did not affect it",
    });
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
  return new ServerError({
    code: "socket_bind_failed",
    errorClass: "socket_unavailable",
    message: `server.socketPath: the instance lock ${path} cannot be opened`,
    cause,
  });
}

function asServerError(error: unknown): ServerError {
  return error instanceof ServerError
    ? error
    : new ServerError({
        code: "socket_bind_failed",
        errorClass: "socket_unavailable",
        message: "server.socketPath: the socket cannot be created",
        cause: error,
      });
}
