/** @module Drops root's privileges before paths that another user may change are touched. The only place that changes this process's identity. */
import { lstatSync, readFileSync, readlinkSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { ancestorsOf } from "./ancestors.ts";

export interface UnixCredentials {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
}

/** Thrown instead of acting as root where another user decides what a path leads to. */
export class UnsafeForRootError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "UnsafeForRootError";
  }
}

/** (uid_t)-1 means "leave it" to the kernel. */
const MAX_ID = 0xffff_fffe;
const MAX_GROUPS = 65_536;
const MAX_LINKS = 16;
const STICKY = 0o1000;
const WRITABLE_BY_OTHERS = 0o022;

/** `uid:gid:group,group`, as a helper of this executable takes it. */
export function credentialsText({ uid, gid, groups }: UnixCredentials): string {
  return `${uid}:${gid}:${groups.join(",")}`;
}

/** The reverse of {@link credentialsText}; `undefined` for any other text. */
export function parseCredentials(text: string): UnixCredentials | undefined {
  const [, uid = "", gid = "", rest = ""] =
    /^(\d{1,10}):(\d{1,10}):((?:\d{1,10}(?:,\d{1,10})*)?)$/.exec(text) ?? [];
  const groups = rest === "" ? [] : rest.split(",").map(Number);
  const numbers = [uid === "" ? Number.NaN : Number(uid), Number(gid), ...groups];
  return numbers.every((each) => each <= MAX_ID) && groups.length <= MAX_GROUPS
    ? { uid: Number(uid), gid: Number(gid), groups }
    : undefined;
}

/** Gives up every other right of this process, for good. @throws Error when anything of the old identity is left. */
export function dropPrivileges(
  { uid, gid, groups }: UnixCredentials,
  self: Pick<NodeJS.Process, "setgroups" | "setgid" | "setuid"> = process,
): void {
  self.setgroups?.([...groups]);
  self.setgid?.(gid);
  self.setuid?.(uid);
  const status = readFileSync("/proc/self/status", "utf8");
  const field = (name: string): string =>
    (new RegExp(`^${name}:[ \\t]*(.*)$`, "m").exec(status)?.[1] ?? "").trim();
  const numbers = (name: string): string =>
    [...new Set(field(name).split(/\s+/).filter(Boolean).map(Number))].sort((a, b) => a - b).join();
  const wanted = [...new Set(groups)].sort((a, b) => a - b).join();
  const isRoot = uid === 0;
  if (
    numbers("Uid") !== String(uid) ||
    numbers("Gid") !== String(gid) ||
    numbers("Groups") !== wanted ||
    (!isRoot && [field("CapPrm"), field("CapEff")].some((set) => /[^0]/.test(set)))
  ) {
    throw new Error("the process kept rights of the user that started it");
  }
}

/**
 * Whose rights to act with below `directory` when this process is root: those of the first user among the ancestors who can change
 * what the path leads to. `undefined` means root's, because no other user can.
 * @throws UnsafeForRootError when every user can change it; what lstat(2) throws.
 */
export function directoryOwner(directory: string): Omit<UnixCredentials, "groups"> | undefined {
  let path = directory;
  for (let index = 0, links = 0; ; ) {
    const chain = ancestorsOf(path);
    const next = chain[index];
    if (next === undefined) {
      return undefined;
    }
    const stats = lstatSync(next);
    if (stats.uid !== 0) {
      return { uid: stats.uid, gid: stats.gid };
    }
    if (stats.isSymbolicLink() && links < MAX_LINKS) {
      path = join(resolve(dirname(next), readlinkSync(next)), relative(next, path));
      links += 1;
      index = 0;
      continue;
    }
    const isOpen = (stats.mode & WRITABLE_BY_OTHERS) !== 0 && (next === path || (stats.mode & STICKY) === 0);
    if (!stats.isDirectory() || isOpen) {
      throw new UnsafeForRootError(`${next} is not a directory that only root can change`);
    }
    index += 1;
  }
}

/**
 * Runs `work`, which must not wait, with the rights that {@link directoryOwner} names. A link that the owner puts there then
 * leads only to what the owner may write.
 */
export function asDirectoryOwner<T>(directory: string, work: () => T): T {
  const owner = process.geteuid?.() === 0 ? directoryOwner(directory) : undefined;
  if (owner === undefined) {
    return work();
  }
  const groups = process.getgroups?.() ?? [];
  const gid = process.getegid?.() ?? 0;
  try {
    process.setgroups?.([]);
    process.setegid?.(owner.gid);
    process.seteuid?.(owner.uid);
    return work();
  } finally {
    process.seteuid?.(0);
    process.setegid?.(gid);
    process.setgroups?.(groups);
  }
}

/**
 * The first ancestor of `directory`, or itself, in which a user other than root can replace something;
 * `undefined` when there is none. `root` is where the path begins, for the file system of another process.
 * A sticky directory is safe to pass, since no other user can replace root's directory in it, and not safe to end in.
 */
export function changeableDirectory(directory: string, root = "/"): string | undefined {
  const chain = ancestorsOf(directory);
  return chain.find((each, index) => {
    // The dot leads through a link that is `root` itself, and through no other.
    const stats = lstatSync(each === "/" ? join(root, "/") + "." : join(root, each), {
      throwIfNoEntry: false,
    });
    const isLast = index === chain.length - 1;
    return (
      stats === undefined ||
      !stats.isDirectory() ||
      stats.uid !== 0 ||
      ((stats.mode & WRITABLE_BY_OTHERS) !== 0 && (isLast || (stats.mode & STICKY) === 0))
    );
  });
}
