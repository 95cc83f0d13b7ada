/** @module What is at the socket's path before the provider makes its own. Nothing is changed. */
import type { BigIntStats } from "node:fs";
import { connect } from "node:net";
import { basename } from "node:path";
import { errnoOf } from "../../base/errno.ts";
import { lstatIfThere, type SocketDirectory, type SocketFileRules } from "./bind-socket.ts";

/** How long a listener may take to accept the connection that asks whether it lives. */
const LIVENESS_TIMEOUT_MS = 1000;

type Occupant =
  | { readonly kind: "nothing" }
  /** A socket of this provider on which no process listens. */
  | { readonly kind: "stale"; readonly inode: bigint }
  | { readonly kind: "live" }
  | { readonly kind: "foreign"; readonly what: string };

/** What lies at the socket's path. A socket counts as stale only when the kernel refused a connection to it. */
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
