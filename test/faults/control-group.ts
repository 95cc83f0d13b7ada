/**
 * A control group for one process, as systemd makes it for MemoryMax= and CPUQuota=.
 *
 * @module Versions 1 and 2 of the kernel's interface; needs root.
 */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

type Limit =
  | { readonly kind: "memory"; readonly bytes: number }
  /** Of one processor. */
  | { readonly kind: "cpu"; readonly percent: number };

const ROOT = "/sys/fs/cgroup";
const PERIOD_US = 100_000;

export function makeControlGroup(limit: Limit) {
  const isUnified = existsSync(join(ROOT, "cgroup.controllers"));
  const top = isUnified ? ROOT : join(ROOT, limit.kind);
  const dir = join(top, `bao-kms-provider-faults-${process.pid}-${limit.kind}`);
  if (isUnified) {
    writeFileSync(join(ROOT, "cgroup.subtree_control"), `+${limit.kind}`);
  }
  mkdirSync(dir, { recursive: true });
  const set = (file: string, value: string): void => writeFileSync(join(dir, file), value);
  const memoryMax = isUnified ? "memory.max" : "memory.limit_in_bytes";
  const home = homeGroup(top, isUnified ? "" : limit.kind);
  if (limit.kind === "memory") {
    set(memoryMax, String(limit.bytes));
  } else {
    const quota = (PERIOD_US * limit.percent) / 100;
    set(isUnified ? "cpu.max" : "cpu.cfs_quota_us", isUnified ? `${quota} ${PERIOD_US}` : String(quota));
  }
  return {
    /** Goes before a command that shall run in it; it keeps the pid. */
    prefix: ["sh", "-c", `echo $$ >"$0"; exec "$@"`, join(dir, "cgroup.procs")],
    add: (pid: number) => set("cgroup.procs", String(pid)),
    /** Of a memory limit: lowers it to what is in use at this moment. */
    squeeze: () => {
      const used = readFileSync(join(dir, isUnified ? "memory.current" : "memory.usage_in_bytes"), "utf8");
      set(memoryMax, used.trim());
    },
    /** Of a memory limit: how many processes the kernel has killed for it. */
    kills: () => {
      const events = readFileSync(join(dir, isUnified ? "memory.events" : "memory.oom_control"), "utf8");
      return Number(/^oom_kill (\d+)$/m.exec(events)?.[1] ?? 0);
    },
    /** The processes in it move back to where they came from; then it is removed. */
    remove: (pid: number) => {
      if (pid > 0 && existsSync(`/proc/${pid}`)) {
        writeFileSync(join(home, "cgroup.procs"), String(pid));
      }
      rmdirSync(dir);
    },
  };
}

/** The group of this process for a controller. */
function homeGroup(top: string, controller: string): string {
  const lines = readFileSync("/proc/self/cgroup", "utf8").trim().split("\n");
  const line = lines.find((each) => (each.split(":")[1] ?? "").split(",").includes(controller));
  return join(top, line?.split(":").slice(2).join(":") ?? "/");
}
