/**
 * A harness in a process of its own, with the environment of the unit and without a JIT.
 *
 * @module Starts and ends it, and reads from the kernel how much memory it ever had.
 */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { unitEnvironment } from "../../scripts/bench/unit-environment.ts";
import { peakRssMib } from "../harness/peak-memory.ts";

export async function serveInProcess() {
  const child = spawn(process.execPath, [join(import.meta.dir, "harness-process.ts")], {
    env: { PATH: process.env.PATH, ...unitEnvironment("off") },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const path = await new Promise<string>((resolve, reject) => {
    child.stdout.once("data", (line: Buffer) => resolve(String(line).trim()));
    child.once("exit", (code) => reject(new Error(`the harness left with ${code}`)));
  });
  return {
    path,
    /** The most memory that the process has had since its start, in MiB. */
    peakRssMib: () => peakRssMib(child.pid ?? 0),
    stop: async () => {
      child.stdin.end();
      await ended;
    },
  };
}

export type ServedProcess = Awaited<ReturnType<typeof serveInProcess>>;
