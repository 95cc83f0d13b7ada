/**
 * @module One release for all suites of one state of the source. Made with weak compression at first use, kept in dist/, and
 * made again when a tracked or new file differs.
 */
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import manifest from "../../package.json";
import { run } from "../../packaging/run.ts";

export { releaseTools } from "../../packaging/release-tools.ts";

export const root = join(import.meta.dir, "..", "..");
export const version = manifest.version;
/** Where CI has `native/build` put the addons. */
const nativeParts = join(root, "dist", "native", "tls.node");

/** The source as it stands, committed or not. */
function sourceKey(): string {
  const names = run("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], { cwd: root })
    .split("\0")
    .filter((name) => name !== "" && !name.startsWith("test/") && existsSync(join(root, name)));
  const hash = createHash("sha256");
  for (const name of [...new Set(names)].sort()) {
    hash.update(`${name}\0`).update(readFileSync(join(root, name)));
  }
  return hash
    .update(existsSync(nativeParts) ? "native" : "")
    .digest("hex")
    .slice(0, 16);
}

const releases = join(root, "dist", "test-release");

/** One process makes it; suites that run beside each other wait for that one. */
export function testRelease() {
  const home = join(releases, sourceKey());
  if (!existsSync(home)) {
    mkdirSync(dirname(releases), { recursive: true });
    run("flock", [`${releases}.lock`, process.execPath, import.meta.path, home]);
  }
  const folder = join(home, "release");
  return {
    folder,
    publicKey: join(home, "public.pem"),
    /** With the addons for PKCS#11. */
    native: existsSync(join(home, "native")),
    /** Path of the artefact, for example `artefact("", "deb")`. */
    artefact: (kind: "" | "_systemd" | "_static-pod" | "_image", suffix: string) => {
      const name = `bao-kms-provider${kind}_${version}_linux_amd64.${suffix}`;
      if (!readdirSync(folder).includes(name)) {
        throw new Error(`the release has no ${name}`);
      }
      return join(folder, name);
    },
  };
}

export type TestRelease = ReturnType<typeof testRelease>;

function makeKeys(folder: string): void {
  const privateKey = join(folder, "private.pem");
  run("openssl", ["ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", privateKey]);
  run("openssl", ["ec", "-in", privateKey, "-pubout", "-out", join(folder, "public.pem")]);
}

function makeRelease(home: string): void {
  rmSync(releases, { recursive: true, force: true });
  const part = `${home}.part`;
  mkdirSync(part, { recursive: true });
  makeKeys(part);
  const native = join(part, "native");
  if (existsSync(nativeParts)) {
    cpSync(dirname(nativeParts), join(native, "amd64"), { recursive: true });
  }
  run(process.execPath, [
    join(root, "packaging", "release.ts"),
    "--fast",
    "--arch=amd64",
    `--key=${join(part, "private.pem")}`,
    `--out=${join(part, "release")}`,
    ...(existsSync(native) ? [`--native=${native}`] : []),
  ]);
  renameSync(part, home);
}

if (import.meta.main) {
  const [, , home = ""] = process.argv;
  if (!existsSync(home)) {
    makeRelease(home);
  }
}
