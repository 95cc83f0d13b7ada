/** @module The socket's directory as the service's package makes it, for the user that runs the test. */
import { chmodSync, chownSync, mkdirSync } from "node:fs";

/** Root, who belongs to all groups, gets one that is not the process's own. */
export const ROOT_SOCKET_GID = 24_242;

/** A group that the running user may give to a directory and that is not its primary one, where there is one. */
export function socketGid(): number {
  const primary = process.getgid?.() ?? 0;
  return process.getuid?.() === 0
    ? ROOT_SOCKET_GID
    : (process.getgroups?.().find((gid) => gid !== primary) ?? primary);
}

/** The owner may write, the group may pass, the group sticks to what is made inside. */
export function makeSocketDirectory(path: string, gid: number, uid = process.getuid?.() ?? 0): void {
  mkdirSync(path, { mode: 0o750 });
  chownSync(path, uid, gid);
  chmodSync(path, 0o2750);
}
