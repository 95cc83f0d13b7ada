/** @module Binds the socket under a random name below one open handle of its directory, and links it to its own name. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  linkSync,
  lstatSync,
  openSync,
  readdirSync,
  unlinkSync,
} from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { basename, dirname } from "node:path";
import { errnoOf, reasonOf } from "../../base/errno.ts";
import { type ServerError, socketError } from "../errors.ts";
import type { DirectoryIdentity } from "./socket-directory.ts";

export interface SocketFileRules {
  /** Absolute path of the socket. */
  readonly path: string;
  /** Permission bits, at most 0660. */
  readonly mode: number;
  readonly ownerUid: number;
  readonly groupGid: number;
}

/** An open handle of the directory that was found fit. */
export type SocketDirectory = ReturnType<typeof openSocketDirectory>;

/** Opens the directory and makes sure that it is the one that was checked. @throws ServerError `socket_not_verified`. */
export function openSocketDirectory(path: string, checked: DirectoryIdentity) {
  const descriptor = openSync(
    path,
    constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
  );
  const stat = fstatSync(descriptor, { bigint: true });
  if (stat.dev !== checked.device || stat.ino !== checked.inode) {
    closeSync(descriptor);
    throw notVerified(`${path} was replaced while it was being checked`);
  }
  return {
    identity: checked,
    /** A path below the handle. */
    at: (name: string): string => `/proc/self/fd/${descriptor}/${name}`,
    close: (): void => closeSync(descriptor),
  };
}

/** Removes the socket at the path if it still is this one; `false` when it is another, which then stays. */
export function removeSocket(directory: SocketDirectory, rules: SocketFileRules, inode: bigint): boolean {
  const path = directory.at(basename(rules.path));
  const stat = lstatIfThere(path);
  if (stat === undefined || !stat.isSocket() || stat.ino !== inode) {
    return false;
  }
  unlinkSync(path);
  return true;
}

/** Removes what a killed predecessor left between binding and linking. Call it only while holding the instance lock. */
export function removeUnfinishedSockets(directory: SocketDirectory, rules: SocketFileRules): void {
  const prefix = unfinishedPrefix(rules.path);
  for (const name of readdirSync(directory.at("."))) {
    const stat = name.startsWith(prefix) ? lstatIfThere(directory.at(name)) : undefined;
    if (stat?.isSocket() && stat.uid === BigInt(rules.ownerUid)) {
      unlinkSync(directory.at(name));
    }
  }
}

/** Listens at the path, which must be free; the socket always has its mode. @throws ServerError; then nothing of it is left. */
export async function bindSocket(
  directory: SocketDirectory,
  rules: SocketFileRules,
  accept: (socket: Socket) => void,
): Promise<{ readonly server: Server; readonly inode: bigint }> {
  const unfinished = directory.at(unfinishedPrefix(rules.path) + randomBytes(6).toString("hex"));
  // Paused, so that a connection that waits for a place costs what the kernel has of it.
  const server = createServer({ pauseOnConnect: true }, accept);
  // A failed accept(2), such as for want of descriptors, concerns one connection; the listener continues.
  server.on("error", () => {});
  await listen(server, unfinished, rules);
  try {
    const made = lstatSync(unfinished, { bigint: true });
    verifySocket(made, rules);
    link(unfinished, directory.at(basename(rules.path)), rules.path);
    unlinkSync(unfinished);
    const visible = lstatIfThere(rules.path);
    if (visible?.ino !== made.ino || visible.dev !== made.dev) {
      removeSocket(directory, rules, made.ino);
      throw notVerified(`${dirname(rules.path)} was replaced while the socket was being made`);
    }
    return { server, inode: made.ino };
  } catch (error) {
    server.close();
    throw error;
  }
}

function unfinishedPrefix(path: string): string {
  return `.${basename(path).slice(0, 32)}.`;
}

async function listen(server: Server, path: string, rules: SocketFileRules): Promise<void> {
  const listening = once(server, "listening");
  // Bun binds inside listen(), so the mask is changed for no other file.
  const before = process.umask(0o777 & ~rules.mode);
  try {
    server.listen(path);
  } finally {
    process.umask(before);
  }
  try {
    await listening;
  } catch (error) {
    const problem = `cannot listen in ${dirname(rules.path)} (${reasonOf(error)})`;
    throw socketError("socket_bind_failed", problem, undefined, error);
  }
}

function link(from: string, to: string, path: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    throw errnoOf(error) === "EEXIST"
      ? occupied(path, "a file that appeared meanwhile", error)
      : socketError("socket_bind_failed", `cannot create ${path} (${reasonOf(error)})`, undefined, error);
  }
}

export function occupied(path: string, what: string, cause?: unknown): ServerError {
  return socketError(
    "socket_occupied",
    `${path} is ${what}, which was not changed`,
    `examine ${path}; remove it if nothing needs it, or choose another server.socketPath`,
    cause,
  );
}

/** @throws ServerError `socket_not_verified` unless this is a socket as the rules want it. */
export function verifySocket(stat: BigIntStats, rules: SocketFileRules): void {
  const mode = Number(stat.mode & 0o7777n);
  if (!stat.isSocket() || stat.uid !== BigInt(rules.ownerUid)) {
    throw notVerified(`what was made for ${rules.path} is not a socket of uid ${rules.ownerUid}`);
  }
  if (stat.gid !== BigInt(rules.groupGid)) {
    throw notVerified(
      `the socket got gid ${stat.gid}, not that of server.socketGroup (gid ${rules.groupGid})`,
    );
  }
  if (mode !== rules.mode) {
    throw notVerified(`the socket got mode ${mode.toString(8)}, not ${rules.mode.toString(8)}`);
  }
}

function notVerified(problem: string): ServerError {
  return socketError(
    "socket_not_verified",
    problem,
    "find the process that changes the directory of server.socketPath, then start the provider again",
  );
}

export function lstatIfThere(path: string): BigIntStats | undefined {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false });
}

/** How long a listener may take to accept the connection that asks whether it lives. */
const LIVENESS_TIMEOUT_MS = 1000;

type Occupant =
  | { readonly kind: "nothing" }
  /** A socket of this provider on which no process listens. */
  | { readonly kind: "stale"; readonly inode: bigint }
  | { readonly kind: "live" }
  | { readonly kind: "foreign"; readonly what: string };

/** What is at the socket's path. Nothing is changed. A socket counts as stale only when the kernel refused a connection to it. */
export async function examineSocketPath(
  directory: SocketDirectory,
  rules: SocketFileRules,
): Promise<Occupant> {
  const path = directory.at(basename(rules.path));
  const stat = lstatIfThere(path);
  if (stat === undefined) {
    return { kind: "nothing" };
  }
  if (!stat.isSocket()) {
    return { kind: "foreign", what: describe(stat) };
  }
  if (stat.uid !== BigInt(rules.ownerUid)) {
    return { kind: "foreign", what: `a socket of uid ${stat.uid}` };
  }
  return (await refusesConnections(path)) ? { kind: "stale", inode: stat.ino } : { kind: "live" };
}

function describe(stat: BigIntStats): string {
  if (stat.isFile()) {
    return "a regular file";
  }
  if (stat.isSymbolicLink()) {
    return "a symbolic link";
  }
  return stat.isDirectory() ? "a directory" : "neither a socket nor a regular file";
}

/** True only for ECONNREFUSED: no process has the socket open. Whatever else happens, a process may be there. */
async function refusesConnections(path: string): Promise<boolean> {
  return await new Promise<boolean>((resolve) => {
    const socket = connect(path);
    const timer = setTimeout(() => done(false), LIVENESS_TIMEOUT_MS);
    const done = (refused: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(refused);
    };
    socket.once("connect", () => done(false));
    socket.once("error", (error) => done(errnoOf(error) === "ECONNREFUSED"));
  });
}
