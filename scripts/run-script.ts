/** @module What the long-running scripts share: how they end, and their result as JSON. */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { dirname } from "node:path";

export const root = dirname(import.meta.dir);

/** Ends the process with the code that `main` resolves with; a failure is one line and code 1. */
export function runScript(name: string, main: () => Promise<number>): void {
  main().then(
    (code) => process.exit(code),
    (error: unknown) => {
      console.error(`${name}: ${error instanceof Error ? error.message : String(error)}`);
      process.exit(1);
    },
  );
}

/** Nothing without a file. */
export function writeJson(file: string | undefined, value: unknown): void {
  if (file !== undefined) {
    writeFileSync(file, `${JSON.stringify(value, undefined, 2)}\n`);
  }
}

/** The commit of the sources, as `git rev-parse` abbreviates it. */
export function shortCommit(): string {
  return spawnSync("git", ["rev-parse", "--short", "HEAD"], { cwd: root, encoding: "utf8" }).stdout.trim();
}
