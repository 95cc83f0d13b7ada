/**
 * @module The kube-apiserver process of this machine. A process is believed for its executable, never for the name it chose.
 * @see proc_pid_status(5)
 */

import { closeSync, constants, fstatSync, openSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename, dirname } from "node:path";
import { changeableDirectory, credentialsText, type UnixCredentials } from "../../base/drop-privileges.ts";
import { CommandError } from "../../cli/errors.ts";
import { readOrEmpty } from "../file-or-nothing.ts";

interface ApiServerProcess extends UnixCredentials {
  readonly pid: number;
  /** It runs in a container, so that the same path may lead it elsewhere. */
  readonly hasOwnMounts: boolean;
}

/** Why a process is not believed. */
const REASONS = {
  ended: "it ended meanwhile, or is hidden from this user",
  other_program: "it runs another program",
  other_user_namespace: "it is in a user namespace of its own",
  program_unsafe: "a user other than root can replace its executable",
} as const;

const PROGRAM = "kube-apiserver";
/** The kernel keeps 15 bytes of a name. */
const COMM = PROGRAM.slice(0, 15);
const WRITABLE_BY_OTHERS = 0o022;

/**
 * The one to take the identity of; `pid` decides between several.
 * @throws CommandError when there is none, or when several have different identities.
 */
export function findApiServer(pid: number | undefined, proc = "/proc"): ApiServerProcess {
  const named = readdirSync(proc)
    .filter((name) => /^\d+$/.test(name) && readOrEmpty(`${proc}/${name}/comm`).trim() === COMM)
    .map(Number);
  const judged = named
    .filter((each) => pid === undefined || each === pid)
    .map((each) => ({ pid: each, judgement: judgeProcess(each, proc) }));
  const genuine = judged.flatMap(({ judgement }) => (typeof judgement === "string" ? [] : [judgement]));
  const [first] = genuine;
  if (first === undefined) {
    const refused = judged.flatMap(({ pid: each, judgement }) =>
      typeof judgement === "string" ? [`${each} (${REASONS[judgement]})`] : [],
    );
    throw new CommandError(
      "apiserver_absent",
      refused.length === 0
        ? `--as-apiserver: ${pid === undefined ? "no process" : `process ${pid} is not`} named kube-apiserver${pid === undefined ? " runs on this machine, or it is hidden from this user" : ""}`
        : `--as-apiserver: not recognised as kube-apiserver: process ${refused.slice(0, 8).join(", ")}`,
      "run it as root on a control-plane node, or choose the user yourself: sudo -u USER bao-kms-provider probe",
    );
  }
  if (new Set(genuine.map((each) => credentialsText(each))).size > 1) {
    throw new CommandError(
      "apiserver_ambiguous",
      `--as-apiserver: several processes run kube-apiserver: ${genuine.map((each) => `${each.pid} (uid ${each.uid})`).join(", ")}`,
      "choose one with --apiserver-pid PID",
    );
  }
  return first;
}

/** Everything is read through one descriptor of the process's directory, so that a reused process id changes nothing. */
export function judgeProcess(pid: number, proc = "/proc"): ApiServerProcess | keyof typeof REASONS {
  let directory: number | undefined;
  try {
    directory = openSync(`${proc}/${pid}`, constants.O_RDONLY | constants.O_DIRECTORY);
    const at = (name: string): string => `/proc/self/fd/${directory}/${name}`;
    // In a user namespace of its own, every user can make any path look like root's.
    if (readlinkSync(at("ns/user")) !== readlinkSync(`${proc}/self/ns/user`)) {
      return "other_user_namespace";
    }
    // The kernel marks an executable that an upgrade has replaced.
    const path = readlinkSync(at("exe")).replace(/ \(deleted\)$/, "");
    if (basename(path) !== PROGRAM) {
      return "other_program";
    }
    if (!isRootsFile(at("exe")) || changeableDirectory(dirname(path), at("root")) !== undefined) {
      return "program_unsafe";
    }
    const identity = identityIn(readFileSync(at("status"), "utf8"));
    if (identity === undefined) {
      return "ended";
    }
    const hasOwnMounts = readlinkSync(at("ns/mnt")) !== readlinkSync(`${proc}/self/ns/mnt`);
    return { pid, ...identity, hasOwnMounts };
  } catch {
    return "ended";
  } finally {
    if (directory !== undefined) {
      closeSync(directory);
    }
  }
}

function isRootsFile(path: string): boolean {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(descriptor);
    return stats.isFile() && stats.uid === 0 && (stats.mode & WRITABLE_BY_OTHERS) === 0;
  } finally {
    closeSync(descriptor);
  }
}

function identityIn(status: string): UnixCredentials | undefined {
  // Real, effective, saved and file system id; the effective one is what connecting is judged by.
  const id = (name: string): number => Number(new RegExp(`^${name}:\\t\\d+\\t(\\d+)`, "m").exec(status)?.[1]);
  const [uid, gid] = [id("Uid"), id("Gid")];
  const groups = (/^Groups:[ \t]*([\d ]*)$/m.exec(status)?.[1] ?? "")
    .split(" ")
    .filter((group) => group !== "");
  return Number.isInteger(uid) && Number.isInteger(gid)
    ? { uid, gid, groups: groups.map(Number) }
    : undefined;
}
