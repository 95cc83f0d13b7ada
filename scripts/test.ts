/**
 * The tests of the project: `npm test`, with suites by name (`npm test -- unit`), all by default.
 *
 * @module A thin front of `bun test` that says which suites ran and closes with the line `N passed, N failed, N skipped`.
 */
import { spawnSync } from "node:child_process";
import { dirname } from "node:path";

const root = dirname(import.meta.dir);
const chosen = process.argv.slice(2);
const { status, stdout, stderr } = spawnSync("bun", ["test", ...chosen], {
  cwd: root,
  encoding: "utf8",
  maxBuffer: 1 << 28,
});
const output = stdout + stderr;
process.stdout.write(output);
const count = (word: string): number =>
  Number(new RegExp(`^\\s*(\\d+) ${word}$`, "m").exec(output)?.[1] ?? 0);
console.log(`${count("pass")} passed, ${count("fail")} failed, ${count("skip")} skipped`);
process.exitCode = status ?? 1;
