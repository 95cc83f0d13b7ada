// Makes a fresh clone ready, with nothing but Node and npm, or nothing but Bun: exact dependencies from the lock file and
// the Bun binary that ships inside its npm package. Every README command starts here; it does nothing when all is ready.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stamp = join(root, "node_modules", ".ready");
const bun = join(root, "node_modules", "bun", "bin", "bun.exe");
const wanted = createHash("sha256")
  .update(readFileSync(join(root, "package-lock.json")))
  .digest("hex");

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ["ignore", "ignore", "inherit"] });
  if (status !== 0) {
    console.error(`setup: ${command} ${args.join(" ")} failed${error ? `: ${error.message}` : ""}`);
    process.exit(1);
  }
}

/** The npm package holds a small placeholder until its install script has put the binary there. */
function hasBun() {
  return existsSync(bun) && statSync(bun).size > 1_000_000;
}

const ready = existsSync(stamp) && readFileSync(stamp, "utf8") === wanted && hasBun();
if (!ready) {
  console.error("setup: installing dependencies from the lock file");
  rmSync(stamp, { force: true });
  if (process.versions.bun === undefined) {
    // Not `npm ci`: it refuses a lock file that lacks an optional package for another platform, which a registry mirror
    // may not carry. `install` takes the same versions and checks the same integrity; --no-save keeps the lock as it is.
    run("npm", ["install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
  } else {
    run(process.execPath, ["install", "--frozen-lockfile", "--ignore-scripts", "--silent"]);
  }
  if (!hasBun()) {
    run(process.execPath, [join(root, "node_modules", "bun", "install.js")]);
  }
  writeFileSync(stamp, wanted);
}
