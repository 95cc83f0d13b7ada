/**
 * @module The compiled executable that the real suites and the demo run. Builds dist/bao-kms-provider when it is missing or
 * older than a source file; once per process.
 */
import { spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { Glob } from "bun";

const root = join(import.meta.dir, "..", "..");
const executable = join(root, "dist", "bao-kms-provider");

/** Path of an executable that is as new as the sources. @throws when the build fails, with its output. */
export function builtExecutable(): string {
  if (!isFresh()) {
    const build = spawnSync(process.execPath, [join(root, "scripts", "build.ts")], {
      cwd: root,
      encoding: "utf8",
    });
    if (build.status !== 0) {
      throw new Error(`the executable cannot be built: ${build.stdout}${build.stderr}`);
    }
  }
  return executable;
}

function isFresh(): boolean {
  if (!existsSync(executable)) {
    return false;
  }
  const builtMs = statSync(executable).mtimeMs;
  const sources = [...new Glob("src/**/*.ts").scanSync(root)].filter((file) => !file.includes(".test."));
  return ["package-lock.json", "scripts/build.ts", ...sources].every(
    (file) => statSync(join(root, file)).mtimeMs <= builtMs,
  );
}
