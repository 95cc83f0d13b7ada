/** The Markdown files of the repository, as git knows them. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

export function markdownFiles(root: string): readonly string[] {
  return trackedFiles(root, "*.md");
}

/** Files in the index, and new ones that are not ignored. */
export function trackedFiles(root: string, ...patterns: readonly string[]): readonly string[] {
  const { status, stdout } = spawnSync(
    "git",
    ["ls-files", "--cached", "--others", "--exclude-standard", "--", ...patterns],
    { cwd: root, encoding: "utf8" },
  );
  if (status !== 0) {
    throw new Error("git ls-files failed: the checks need a git working tree");
  }
  return stdout.split("\n").filter((file) => file !== "" && existsSync(join(root, file)));
}
