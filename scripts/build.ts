/**
 * Builds dist/bao-kms-provider, the one executable; `--target=bun-linux-arm64 --outfile=F` builds for another machine.
 *
 * @module `--test-addons=DIR` makes an executable for tests, which takes its native addons from DIR; no other can. Same inputs, same bytes: version comes from package.json, commit from BUILD_COMMIT or git, nothing from the clock.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import manifest from "../package.json";

const root = dirname(import.meta.dir);
const { values } = parseArgs({
  options: {
    target: { type: "string" },
    "test-addons": { type: "string" },
    outfile: { type: "string", default: join(root, "dist", "bao-kms-provider") },
  },
});

function commit(): string {
  const fromEnvironment = process.env["BUILD_COMMIT"];
  if (fromEnvironment !== undefined && fromEnvironment !== "") {
    return fromEnvironment;
  }
  const git = spawnSync("git", ["rev-parse", "HEAD"], { cwd: root, encoding: "utf8" });
  return git.status === 0 ? git.stdout.trim() : "unknown";
}

const testAddons = values["test-addons"];
const define = {
  BUILD_VERSION: manifest.version,
  BUILD_COMMIT: commit(),
  ...(testAddons === undefined
    ? {}
    : { NATIVE_ADDON_DIRECTORY: testAddons, NATIVE_ADDON_OWNER: process.geteuid?.() ?? 0 }),
};
mkdirSync(dirname(values.outfile), { recursive: true });
const build = spawnSync(
  process.execPath,
  [
    "build",
    "--compile",
    "--minify",
    "--bytecode",
    "--no-compile-autoload-dotenv",
    "--no-compile-autoload-bunfig",
    ...(values.target === undefined ? [] : [`--target=${values.target}`]),
    ...Object.entries(define).flatMap(([name, value]) => ["--define", `${name}=${JSON.stringify(value)}`]),
    "--outfile",
    values.outfile,
    "src/main.ts",
  ],
  { cwd: root, stdio: ["ignore", "ignore", "inherit"] },
);
if (build.status !== 0) {
  process.exit(build.status ?? 1);
}
console.log(`built ${values.outfile} ${define.BUILD_VERSION} ${define.BUILD_COMMIT}`);
