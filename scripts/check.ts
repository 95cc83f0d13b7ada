/** @module Every check of the source that does not run it; all are run before those that failed are named. */
import { spawnSync } from "node:child_process";
import { dirname } from "node:path";

const root = dirname(import.meta.dir);
const checks: readonly (readonly [name: string, command: string, ...args: string[]])[] = [
  ["format", "biome", "ci", "--colors=off", "."],
  ["lint", "oxlint", "--deny-warnings"],
  ["types", "tsc", "-p", "."],
  ["unused", "knip"],
  ["proto", "buf", "lint"],
  ["links", "bun", "scripts/check-links.ts"],
  ["words", "bun", "scripts/check-words.ts"],
  ["generated", "bun", "scripts/check-generated.ts"],
];
const failed = checks.filter(([name, command, ...args]) => {
  console.log(`check: ${name}`);
  return spawnSync(command, args, { cwd: root, stdio: "inherit" }).status !== 0;
});
if (failed.length > 0) {
  console.error(`check failed: ${failed.map(([name]) => name).join(", ")}`);
  process.exitCode = 1;
}
