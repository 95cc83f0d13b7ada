// Makes a fresh clone ready, with nothing but Node and npm, or nothing but Bun: exact dependencies from the lock file and
// the Bun binary that ships inside its npm package. Every README command starts here; it does nothing when all is ready.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
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

/** The npm package has a small placeholder until the binary of this platform is put there. */
function hasBun() {
  return existsSync(bun) && statSync(bun).size > 1_000_000;
}

/**
 * Puts the binary of the optional package for this platform in place. The bun package's own install script does the same, but
 * where the optional package is missing it fetches Bun from the registry, past the lock file and its digests.
 */
function placeBun() {
  const packages = join(root, "node_modules", "@oven");
  const binary = (existsSync(packages) ? readdirSync(packages) : [])
    .map((name) => join(packages, name, "bin", "bun"))
    .find((path) => existsSync(path) && spawnSync(path, ["--version"], { stdio: "ignore" }).status === 0);
  if (binary === undefined) {
    console.error(
      "setup: no package @oven/bun-* for this platform is installed, and Bun is not fetched outside of the lock file. " +
        "Run npm install without --no-optional, from a registry that has the package.",
    );
    process.exit(1);
  }
  copyFileSync(binary, bun);
  chmodSync(bun, 0o755);
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
    placeBun();
  }
  writeFileSync(stamp, wanted);
}
