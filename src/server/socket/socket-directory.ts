/** @module Whether only the provider may change what is in the socket's directory, and only the socket's group may enter it. */
import { type BigIntStats, lstatSync, realpathSync } from "node:fs";
import { dirname } from "node:path";
import { ancestorsOf } from "../../base/ancestors.ts";
import { errnoOf, reasonOf } from "../../base/errno.ts";
import { makeVolumeDirectory, VolumeDirectoryError } from "../../base/volume-directory.ts";
import { type ServerCode, ServerError, socketError } from "../errors.ts";

export interface SocketDirectoryRules {
  /** Absolute path of the directory that holds the socket. */
  readonly directory: string;
  /** The user that the provider runs as. */
  readonly ownerUid: number;
  /** `server.socketGroup` as a number. */
  readonly groupGid: number;
  /** Owner and group as the install command in a message names them. */
  readonly ownerName: string;
  readonly groupName: string;
  /** With `server.createDirectory`, the mount points that this process sees: the directory is made directly below one. */
  readonly mountPoints?: ReadonlySet<string> | undefined;
}

/** 2750: the group may list and enter. 2710: it may only enter. setgid gives the socket the directory's group. */
const MODES: ReadonlySet<number> = new Set([0o2750, 0o2710]);
const STICKY = 0o1000;

/** What identifies a directory as long as it exists. */
export interface DirectoryIdentity {
  readonly device: bigint;
  readonly inode: bigint;
}

/** @returns which directory was found fit. @throws ServerError `socket_unavailable`, one code for each thing that can be wrong. */
export function checkSocketDirectory(rules: SocketDirectoryRules): DirectoryIdentity {
  const { directory } = rules;
  // The ancestors first: what they let others replace need not be looked at.
  for (const ancestor of directoriesAbove(directory)) {
    checkAncestor(ancestor, rules);
  }
  const fail = (code: ServerCode, problem: string, first = ""): ServerError =>
    unfit(code, `${directory} ${problem}`, rules, first);
  const stat = lstat(directory, rules);
  if (stat.isSymbolicLink()) {
    throw fail("directory_symlink", "is a symbolic link", `rm ${directory} && `);
  }
  if (!stat.isDirectory()) {
    throw fail("directory_not_a_directory", "is not a directory", `rm ${directory} && `);
  }
  if (stat.uid !== BigInt(rules.ownerUid)) {
    const problem = `belongs to uid ${stat.uid}, not to the provider's user (uid ${rules.ownerUid})`;
    throw fail("directory_wrong_owner", problem);
  }
  if (stat.gid !== BigInt(rules.groupGid)) {
    const problem = `has gid ${stat.gid}, not that of server.socketGroup (gid ${rules.groupGid})`;
    throw fail("directory_wrong_group", problem);
  }
  const mode = Number(stat.mode & 0o7777n);
  if (!MODES.has(mode)) {
    throw fail("directory_wrong_mode", `has mode ${octal(mode)}; it must be exactly 2750 or 2710`);
  }
  return { device: stat.dev, inode: stat.ino };
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, "0");
}

/** With `server.createDirectory`, makes the directory first. @throws ServerError of class `socket_unavailable`. */
export function makeSocketDirectory(rules: SocketDirectoryRules): DirectoryIdentity {
  if (rules.mountPoints !== undefined) {
    try {
      makeVolumeDirectory({
        path: rules.directory,
        field: "server.createDirectory",
        errorClass: "socket_unavailable",
        uid: rules.ownerUid,
        gid: rules.groupGid,
        mode: 0o2750,
        mountPoints: rules.mountPoints,
      });
    } catch (error) {
      throw error instanceof VolumeDirectoryError ? asServerError(error) : error;
    }
  }
  return checkSocketDirectory(rules);
}

function asServerError(error: VolumeDirectoryError): ServerError {
  const { code, errorClass, message, advice } = error;
  return new ServerError({ code, errorClass, message, advice, cause: error });
}

/** Every directory above, both as the path names them and as they are behind symbolic links such as /var/run. */
function directoriesAbove(directory: string): ReadonlySet<string> {
  const parent = dirname(directory);
  const found = new Set<string>(ancestorsOf(parent));
  try {
    for (const each of ancestorsOf(realpathSync(parent))) {
      found.add(each);
    }
  } catch {
    // A parent that does not exist is named by the check of the chain itself.
  }
  return found;
}

function checkAncestor(path: string, rules: SocketDirectoryRules): void {
  const stat = lstat(path, rules);
  // Who else may write a pod's volume is the pod's own affair; see docs/deployment/sidecar.md.
  const isVolume = path === dirname(rules.directory) && rules.mountPoints?.has(path) === true;
  if (stat.uid !== 0n && stat.uid !== BigInt(rules.ownerUid)) {
    throw socketError(
      "ancestor_wrong_owner",
      `${path}, above the socket, belongs to uid ${stat.uid}, who could replace the directories below it`,
      `chown root ${path}, or choose another server.socketPath`,
    );
  }
  // The mode of a symbolic link means nothing; what it leads to is in the list by its real path.
  const mode = Number(stat.mode & 0o7777n);
  const groupMayWrite = (mode & 0o020) !== 0 && stat.gid !== 0n;
  if (
    !isVolume &&
    !stat.isSymbolicLink() &&
    (groupMayWrite || (mode & 0o002) !== 0) &&
    (mode & STICKY) === 0
  ) {
    throw socketError(
      "ancestor_writable",
      `${path}, above the socket, can be written by other users (mode ${octal(mode)})`,
      `chmod go-w ${path}, or choose another server.socketPath`,
    );
  }
}

function lstat(path: string, rules: SocketDirectoryRules): BigIntStats {
  try {
    return lstatSync(path, { bigint: true });
  } catch (error) {
    throw ["ENOENT", "ENOTDIR"].includes(errnoOf(error) ?? "")
      ? unfit("directory_missing", `${path} does not exist`, rules, "", error)
      : unfit("directory_unreadable", `${path} cannot be examined (${reasonOf(error)})`, rules, "", error);
  }
}

/** @param first a command to run before the install command, ending in ` && `. */
function unfit(
  code: ServerCode,
  problem: string,
  rules: SocketDirectoryRules,
  first = "",
  cause?: unknown,
): ServerError {
  return socketError(code, problem, `${first}${installCommand(rules)}`, cause);
}

/** The line that makes the directory as it has to be. */
function installCommand({ directory, ownerName, groupName }: SocketDirectoryRules): string {
  return `install -d -o ${ownerName} -g ${groupName} -m 2750 ${directory}`;
}
