/** @module The service's user, and whether it can reach a file: computed from modes, because everything is open to root. */

import type { Stats } from "node:fs";
import { ancestorsOf } from "../base/ancestors.ts";
import { CommandError } from "../cli/errors.ts";
import { readOrEmpty, statOrUndefined } from "./file-or-nothing.ts";

export interface UserIdentity {
  readonly uid: number;
  /** Primary group; `undefined` for a number that /etc/passwd does not know. */
  readonly gid: number | undefined;
  /** All groups, the primary one included. The unit's SupplementaryGroups are not among them. */
  readonly groups: readonly number[];
  /** The name, or the number as text. */
  readonly name: string;
}

export type UserFiles = ReturnType<typeof readUserFiles>;

export function readUserFiles() {
  return { passwd: readOrEmpty("/etc/passwd"), group: readOrEmpty("/etc/group") };
}

/** A user by name or number. @throws CommandError when the name is unknown. */
export function userIdentity(user: string, { passwd, group }: UserFiles): UserIdentity {
  const isNumber = /^\d{1,10}$/.test(user);
  for (const line of passwd.split("\n")) {
    const [name = "", , uid = "", gid = ""] = line.split(":");
    if (name !== "" && (isNumber ? uid === user : name === user)) {
      return { uid: Number(uid), gid: Number(gid), groups: groupsOf(name, Number(gid), group), name };
    }
  }
  if (!isNumber) {
    throw new CommandError(
      "user_unknown",
      `there is no user ${JSON.stringify(user)} in /etc/passwd`,
      "give the name or number of the service's user with --service-user",
    );
  }
  return { uid: Number(user), gid: undefined, groups: [], name: user };
}

function groupsOf(name: string, primary: number, group: string): readonly number[] {
  const others = group.split("\n").flatMap((line) => {
    const [, , gid = "", members = ""] = line.split(":");
    return members.split(",").includes(name) && /^\d+$/.test(gid) ? [Number(gid)] : [];
  });
  return [...new Set([primary, ...others])];
}

type Access = "read" | "write";

const BITS = { read: 4, write: 2, search: 1 } as const;

/**
 * The first ancestor of a file, or the file itself, that would stop the user; `undefined` when nothing does, or when it cannot be seen
 * from here.
 */
export function accessProblem(path: string, access: Access, user: UserIdentity): string | undefined {
  if (user.uid === 0) {
    return undefined;
  }
  const directories = ancestorsOf(path).slice(0, -1);
  for (const directory of directories) {
    const stat = statOrUndefined(directory);
    if (stat !== undefined && !allows(stat, "search", user)) {
      return `the user ${user.name} may not enter ${directory}`;
    }
  }
  const stat = statOrUndefined(path);
  return stat !== undefined && !allows(stat, access, user)
    ? `the user ${user.name} may not ${access} ${path}`
    : undefined;
}

function allows({ uid, gid, mode }: Stats, access: keyof typeof BITS, user: UserIdentity): boolean {
  const shift = uid === user.uid ? 6 : user.groups.includes(gid) ? 3 : 0;
  return ((mode >> shift) & BITS[access]) !== 0;
}
