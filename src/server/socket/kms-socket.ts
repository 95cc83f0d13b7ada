/** @module The socket from start to stop: one instance, one socket, made again when it is lost. */
import type { Server, Socket } from "node:net";
import { basename, dirname } from "node:path";
import type { Clock } from "../../base/clock.ts";
import { Repeater } from "../../base/repeat.ts";
import { MAX_SOCKET_PATH_BYTES } from "../../base/unix-socket.ts";
import { ServerError, socketError } from "../errors.ts";
import {
  bindSocket,
  examineSocketPath,
  lstatIfThere,
  occupied,
  openSocketDirectory,
  removeSocket,
  removeUnfinishedSockets,
  type SocketDirectory,
  type SocketFileRules,
} from "./bind-socket.ts";
import { type InstanceLock, type InstanceLockOptions, takeInstanceLock } from "./instance-lock.ts";
import { makeSocketDirectory, type SocketDirectoryRules } from "./socket-directory.ts";

export interface KmsSocketOptions extends SocketFileRules, InstanceLockOptions {
  /** Names for the install command in a message. */
  readonly ownerName: string;
  readonly groupName: string;
  /** Set with `server.createDirectory`; see SocketDirectoryRules. */
  readonly mountPoints?: ReadonlySet<string> | undefined;
  readonly accept: (socket: Socket) => void;
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

interface Listening {
  readonly directory: SocketDirectory;
  readonly server: Server;
  readonly inode: bigint;
}

/** Takes the instance lock, removes a stale socket, listens and verifies. @throws ServerError; then no other's file was touched. */
export async function openKmsSocket(options: KmsSocketOptions): Promise<KmsSocket> {
  checkSocketRules(options);
  const rules: SocketDirectoryRules = { ...options, directory: dirname(options.path) };
  const lock = takeInstanceLock(rules, options);
  try {
    return new KmsSocket(options, rules, lock, await bind(options, rules));
  } catch (error) {
    lock.release();
    throw asServerError(error);
  }
}

/** The socket of this process, which is watched and made again when it is lost. */
export class KmsSocket {
  readonly #options: KmsSocketOptions;
  readonly #rules: SocketDirectoryRules;
  readonly #lock: InstanceLock;
  readonly #watch: Repeater;
  #listening: Listening | undefined;
  #problem: ServerError | undefined;
  #closing: Promise<void> | undefined;

  constructor(
    options: KmsSocketOptions,
    rules: SocketDirectoryRules,
    lock: InstanceLock,
    listening: Listening,
  ) {
    this.#options = options;
    this.#rules = rules;
    this.#lock = lock;
    this.#listening = listening;
    this.#watch = new Repeater(
      options.clock,
      () => options.watchIntervalMs,
      () => this.#restoreIfLost(),
    );
  }

  /** Why no new connection can come in; `undefined` while all is well. */
  get problem(): ServerError | undefined {
    return this.#problem;
  }

  /** Stops listening and removes the socket that this process made; accepted connections continue. May be called again. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#watch.stop();
    this.#letGo();
    this.#lock.release();
  }

  async #restoreIfLost(): Promise<void> {
    const { onEvent } = this.#options;
    try {
      makeSocketDirectory(this.#rules);
      if (this.#listening === undefined || !inPlace(this.#listening, this.#options)) {
        this.#letGo();
        this.#listening = await bind(this.#options, this.#rules);
        onEvent({ kind: "restarted" });
      }
      if (this.#problem !== undefined) {
        this.#problem = undefined;
        onEvent({ kind: "ready" });
      }
    } catch (error) {
      const found = asServerError(error);
      if (found.code !== this.#problem?.code) {
        onEvent({ kind: "not_ready", error: found });
      }
      this.#problem = found;
    }
  }

  #letGo(): void {
    const old = this.#listening;
    this.#listening = undefined;
    if (old !== undefined) {
      removeSocket(old.directory, this.#options, old.inode);
      old.server.close();
      old.directory.close();
    }
  }
}

async function bind(options: KmsSocketOptions, rules: SocketDirectoryRules): Promise<Listening> {
  const directory = openSocketDirectory(rules.directory, makeSocketDirectory(rules));
  try {
    await clearPath(directory, options);
    return { directory, ...(await bindSocket(directory, options, options.accept)) };
  } catch (error) {
    directory.close();
    throw error;
  }
}

async function clearPath(directory: SocketDirectory, options: KmsSocketOptions): Promise<void> {
  removeUnfinishedSockets(directory, options);
  const occupant = await examineSocketPath(directory, options);
  switch (occupant.kind) {
    case "nothing":
      return;
    case "stale":
      if (removeSocket(directory, options, occupant.inode)) {
        options.onEvent({ kind: "stale_removed" });
      }
      return;
    case "live":
      throw socketError(
        "socket_live",
        `another process listens at ${options.path}`,
        `find it: ss -xlp | grep ${options.path}`,
      );
    case "foreign":
      throw occupied(options.path, occupant.what);
  }
}

/** Whether the socket is where it was made, as it was made. */
function inPlace({ inode }: Listening, file: SocketFileRules): boolean {
  const stat = lstatIfThere(file.path);
  return (
    stat !== undefined &&
    stat.isSocket() &&
    stat.ino === inode &&
    stat.gid === BigInt(file.groupGid) &&
    Number(stat.mode & 0o7777n) === file.mode
  );
}

const WIDEST_MODE = 0o660;

/** What can be said of a path and mode without looking at the file system. @throws ServerError `config_invalid`. */
function checkSocketRules({ path, mode }: Pick<SocketFileRules, "path" | "mode">): void {
  if (!path.startsWith("/") || basename(path) === "" || path.includes("\0")) {
    throw configInvalid(
      "socket_path_relative",
      `server.socketPath: ${JSON.stringify(path)} is not an absolute path`,
    );
  }
  const length = Buffer.byteLength(path);
  if (length > MAX_SOCKET_PATH_BYTES) {
    throw configInvalid(
      "socket_path_too_long",
      `server.socketPath: ${path} has ${length} bytes; a Unix socket's path has at most ${MAX_SOCKET_PATH_BYTES}`,
    );
  }
  if ((mode & ~WIDEST_MODE) !== 0) {
    throw configInvalid("socket_mode_too_wide", "server.socketMode: wider than 0660");
  }
}

function configInvalid(
  code: "socket_path_relative" | "socket_path_too_long" | "socket_mode_too_wide",
  message: string,
) {
  return new ServerError({ code, errorClass: "config_invalid", message });
}

function asServerError(error: unknown): ServerError {
  return error instanceof ServerError
    ? error
    : socketError("socket_bind_failed", "the socket cannot be created", undefined, error);
}
