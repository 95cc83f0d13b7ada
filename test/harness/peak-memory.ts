/** The most memory that a process has had since its start, as the kernel counts it: VmHWM in proc_pid_status(5). */
import { readFileSync } from "node:fs";

/** In MiB. */
export function peakRssMib(pid: number): number {
  const [, kib] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kib) / 1024;
}
