/** @module Runs one external tool of a release; its failure ends the release with the tool's own words. */
import { spawnSync } from "node:child_process";

interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
}

/** Standard output of `command`; throws with its standard error when it fails or is not there. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): string {
  return runBytes(command, args, options).toString("utf8");
}

/** The same words and orders on every machine: no locale, no time zone. */
const reproducible = { LC_ALL: "C", TZ: "UTC" } as const;

export function runBytes(command: string, args: readonly string[], options: RunOptions = {}): Buffer {
  const { status, error, stdout, stderr } = spawnSync(command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...reproducible, ...options.env },
    input: options.input,
    maxBuffer: 1 << 30,
  });
  if (status !== 0) {
    const reason = error === undefined ? stderr.toString("utf8").trim() : error.message;
    throw new Error(`${command} ${args.join(" ")} failed: ${reason}`);
  }
  return stdout;
}
