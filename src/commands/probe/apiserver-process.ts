/**
 * The one kube-apiserver process of this machine, and its identity.
 *
 * @module Looks through /proc. Whose uid, gid and groups it has is in its status file; whether it sees the same files is told
 * by its mount namespace.
 * @see proc_pid_status(5)
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { ProviderError } from "../../base/error-class.ts";
import type { Caller } from "./caller.ts";

export interface ApiServerProcess extends Caller {
  readonly pid: number;
  /** It runs in a container, so that the same path may lead it elsewhere. */
  readonly hasOwnMounts: boolean;
}

/** The kernel keeps 15 bytes of a name. */
const COMM = "kube-apiserver".slice(0, 15);

/** @throws ProviderError when there is none, or more than one. */
export function findApiServer(proc = "/proc"): ApiServerProcess {
  const found = readdirSync(proc).filter(
    (name) => /^\d+$/.test(name) && readOrEmpty(`${proc}/${name}/comm`).trim() === COMM,
  );
  const [pid] = found;
  if (pid === undefined || found.length > 1) {
    throw new ProviderError({
      code: pid === undefined ? "apiserver_absent" : "apiserver_ambiguous",
      errorClass: "config_invalid",
      message:
        pid === undefined
          ? "--as-apiserver: no process named kube-apiserver runs on this machine, or it is hidden from this user"
          : `--as-apiserver: ${found.length} processes are named kube-apiserver`,
      advice:
        "run it as root on a control-plane node, or name the user yourself: sudo -u USER bao-kms-provider probe",
    });
  }
  return identityOf(proc, Number(pid));
}

function identityOf(proc: string, pid: number): ApiServerProcess {
  const text = readOrEmpty(`${proc}/${pid}/status`);
  // Real, effective, saved and file system id; the effective one is what connecting is judged by.
  const id = (name: string): number => Number(new RegExp(`^${name}:\\t\\d+\\t(\\d+)`, "m").exec(text)?.[1]);
  const [uid, gid] = [id("Uid"), id("Gid")];
  if (!Number.isInteger(uid) || !Number.isInteger(gid)) {
    throw new ProviderError({
      code: "apiserver_absent",
      errorClass: "config_invalid",
      message: `--as-apiserver: the process ${pid} ended while it was being looked at`,
      advice: "try again",
    });
  }
  const groups = (/^Groups:[ \t]*([\d ]*)$/m.exec(text)?.[1] ?? "")
    .split(" ")
    .filter((group) => group !== "");
  return { pid, uid, gid, groups: groups.map(Number), hasOwnMounts: hasOwnMounts(proc, pid) };
}

function hasOwnMounts(proc: string, pid: number): boolean {
  try {
    return readlinkSync(`${proc}/${pid}/ns/mnt`) !== readlinkSync(`${proc}/self/ns/mnt`);
  } catch {
    return false;
  }
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
