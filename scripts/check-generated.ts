/** @module Fails when a generated file differs from what its source makes. Changes nothing in the tree. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Glob } from "bun";

const root = dirname(import.meta.dir);
const fresh = mkdtempSync(join(tmpdir(), "generated-"));
try {
  const { status } = spawnSync("buf", ["generate", "--output", fresh], { cwd: root, stdio: "inherit" });
  if (status !== 0) {
    process.exit(1);
  }
  const made = [...new Glob("src/**/*.ts").scanSync(fresh)];
  const differing = made.filter(
    (file) => readFileSync(join(fresh, file), "utf8") !== readFileSync(join(root, file), "utf8"),
  );
  if (made.length === 0 || differing.length > 0) {
    console.error(`generated files differ from their source: ${differing.join(", ")}; run: npm run generate`);
    process.exitCode = 1;
  }
} finally {
  rmSync(fresh, { recursive: true, force: true });
}
