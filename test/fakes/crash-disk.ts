/** @module A disk in memory that loses what was not synced. The stand-in for key/registry/file-system.ts. */
import { assertNever } from "../../src/base/assert-never.ts";
import type { FileFacts, OpenFile, OpenPurpose, StateFiles } from "../../src/key/registry/file-system.ts";
import type { TryLock } from "../../src/key/registry/writer-lock.ts";

export type Fault =
  | { readonly kind: "none" }
  /** Nothing happens, the errno is reported. */
  | { readonly kind: "fails"; readonly errno: string }
  /** It happens, and yet the errno is reported. */
  | { readonly kind: "happens_and_fails"; readonly errno: string }
  /** Only the first byte is written. For operations other than write: nothing special. */
  | { readonly kind: "short" }
  /** The machine stops before the operation; nothing works until {@link CrashDisk.reboot}. */
  | { readonly kind: "crash" };

/** What a power cut leaves of what was not synced. */
export interface Survival {
  readonly names: boolean;
  readonly contents: boolean;
}

export const SURVIVALS: readonly Survival[] = [
  { names: true, contents: true },
  { names: true, contents: false },
  { names: false, contents: true },
  { names: false, contents: false },
];

interface Inode {
  readonly number: number;
  readonly uid: number;
  mode: number;
  changed: number;
  content: Uint8Array;
  durable: Uint8Array;
}

export interface CrashDisk {
  readonly files: StateFiles;
  readonly tryLock: TryLock;
  /** Operations so far, by name and last part of the path. */
  readonly log: readonly string[];
  /** Decides about each operation, by its number since the last call of {@link CrashDisk.plan}, from 0. */
  plan(fault: (operation: number, name: string) => Fault): void;
  reboot(survival: Survival): void;
  /** Changes a file behind everybody's back; `undefined` removes it. Durable at once. */
  put(path: string, content: Uint8Array | undefined): void;
  get(path: string): Uint8Array | undefined;
  names(): readonly string[];
}

export function crashDisk(directory: string, uid = 1000): CrashDisk {
  let names = new Map<string, Inode>();
  let durableNames = new Map<string, Inode>();
  let fault: (operation: number, name: string) => Fault = () => ({ kind: "none" });
  let operations = 0;
  let crashed = false;
  let inodes = 0;
  let time = 0;
  let locked = false;
  const log: string[] = [];

  const error = (errno: string): Error => Object.assign(new Error(errno), { code: errno });
  const newInode = (content: Uint8Array): Inode => {
    inodes += 1;
    time += 1;
    return { number: inodes, uid, mode: 0o600, changed: time, content, durable: new Uint8Array() };
  };

  const operation = async <T>(name: string, path: string, run: (short: boolean) => T): Promise<T> => {
    await Promise.resolve();
    if (crashed) {
      throw error("ECRASHED");
    }
    log.push(`${name} ${path.slice(path.lastIndexOf("/") + 1)}`);
    const chosen = fault(operations, name);
    operations += 1;
    switch (chosen.kind) {
      case "none":
        return run(false);
      case "short":
        return run(true);
      case "fails":
        throw error(chosen.errno);
      case "happens_and_fails":
        run(false);
        throw error(chosen.errno);
      case "crash":
        crashed = true;
        throw error("ECRASHED");
      default:
        return assertNever(chosen);
    }
  };

  const factsOf = (inode: Inode): FileFacts => ({
    kind: "file",
    uid: inode.uid,
    mode: inode.mode,
    sizeBytes: inode.content.length,
    identity: `${inode.number}:${inode.changed}:${inode.content.length}`,
  });
  const directoryFacts: FileFacts = {
    kind: "directory",
    uid,
    mode: 0o750,
    sizeBytes: 0,
    identity: "directory",
  };
  const find = (path: string): Inode => {
    const inode = names.get(path);
    if (inode === undefined) {
      throw error("ENOENT");
    }
    return inode;
  };

  const openDirectory = (): OpenFile => ({
    facts: async () => directoryFacts,
    read: () => Promise.reject(error("EISDIR")),
    write: () => Promise.reject(error("EISDIR")),
    sync: () =>
      operation("sync", directory, () => {
        durableNames = new Map(names);
      }),
    close: async () => {},
  });

  const openInode = (inode: Inode, path: string): OpenFile => ({
    facts: () => operation("fstat", path, () => factsOf(inode)),
    read: (maxBytes) => operation("read", path, () => inode.content.slice(0, maxBytes + 1)),
    write: (bytes) =>
      operation("write", path, (short) => {
        const written = short ? bytes.subarray(0, 1) : bytes;
        inode.content = Buffer.concat([inode.content, written]);
        time += 1;
        inode.changed = time;
        return written.length;
      }),
    sync: () =>
      operation("sync", path, () => {
        inode.durable = inode.content;
      }),
    close: async () => {},
  });

  const open = (path: string, purpose: OpenPurpose): OpenFile => {
    if (purpose === "directory") {
      return openDirectory();
    }
    if (purpose === "create") {
      if (names.has(path)) {
        throw error("EEXIST");
      }
      names.set(path, newInode(new Uint8Array()));
    }
    return openInode(find(path), path);
  };

  return {
    log,
    files: {
      open: (path, purpose) => operation(`open-${purpose}`, path, () => open(path, purpose)),
      stat: (path) =>
        operation("stat", path, () => (path === directory ? directoryFacts : factsOf(find(path)))),
      rename: (from, to) =>
        operation("rename", to, () => {
          const inode = find(from);
          names.delete(from);
          names.set(to, inode);
          time += 1;
          inode.changed = time;
        }),
      unlink: (path) =>
        operation("unlink", path, () => {
          find(path);
          names.delete(path);
        }),
    },
    tryLock: () => {
      if (locked) {
        return undefined;
      }
      locked = true;
      return {
        release: () => {
          locked = false;
        },
      };
    },
    plan: (next) => {
      fault = next;
      operations = 0;
    },
    reboot: (survival) => {
      crashed = false;
      locked = false;
      names = new Map(survival.names ? names : durableNames);
      durableNames = new Map(names);
      for (const inode of new Set(names.values())) {
        inode.content = survival.contents ? inode.content : inode.durable;
        inode.durable = inode.content;
      }
      fault = () => ({ kind: "none" });
    },
    put: (path, content) => {
      if (content === undefined) {
        names.delete(path);
        durableNames.delete(path);
        return;
      }
      const inode = newInode(content);
      inode.durable = content;
      names.set(path, inode);
      durableNames.set(path, inode);
    },
    get: (path) => names.get(path)?.content,
    names: () => [...names.keys()],
  };
}
