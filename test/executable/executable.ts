/**
 * The compiled executable, built once for all tests of a run.
 *
 * @module Builds into a temporary directory so that tests of several checkouts and a developer's dist/ stay apart.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const root = dirname(dirname(import.meta.dir));

/** Builds as `npm run build` does. The caller removes the directory. */
export function buildExecutable(): { readonly path: string; readonly remove: () => void } {
  const directory = mkdtempSync(join(tmpdir(), "executable-"));
  const path = join(directory, "bao-kms-provider");
  const { status, stderr } = spawnSync(
    process.execPath,
    [join(root, "scripts", "build.ts"), "--outfile", path],
    {
      cwd: root,
      encoding: "utf8",
      env: { ...process.env, PATH: `${dirname(process.execPath)}:${process.env["PATH"]}` },
    },
  );
  if (status !== 0) {
    throw new Error(`the executable could not be built: ${stderr}`);
  }
  return { path, remove: () => rmSync(directory, { recursive: true, force: true }) };
}
