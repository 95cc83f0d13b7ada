/** @module Makes every artefact of a release: `scripts/release --help`. */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { setImmediate } from "node:timers/promises";
import { parseArgs } from "node:util";
import { architectures } from "./architecture.ts";
import { buildExecutable, makeArtefacts } from "./artefacts.ts";
import { placeholders } from "./description.ts";
import { writeEvidence } from "./evidence.ts";
import { crates, npmPackages } from "./materials.ts";
import { missingTools, nativeTools, releaseTools } from "./release-tools.ts";
import { releaseVersion } from "./release-version.ts";
import { run } from "./run.ts";
import { sbom } from "./sbom.ts";

interface ReleaseOptions {
  readonly out: string;
  readonly architectures: readonly (keyof typeof architectures)[];
  readonly keyFile: string | undefined;
  readonly native: string | undefined;
  readonly fast: boolean;
}

const root = dirname(import.meta.dir);

/** Makes the release in `out`, which must be empty or absent. A release that fails or is aborted leaves nothing behind. */
async function makeRelease(options: ReleaseOptions, signal: AbortSignal): Promise<void> {
  const { keyFile, native, fast } = options;
  const release = releaseVersion(root);
  checkBefore(options);
  for (const placeholder of placeholders()) {
    console.log(`warning: ${placeholder}; set your own in package.json before you publish`);
  }
  mkdirSync(dirname(options.out), { recursive: true });
  const work = mkdtempSync(`${options.out}.unfinished-`);
  try {
    const out = join(work, "out");
    mkdirSync(out);
    const commit = process.env["BUILD_COMMIT"] ?? run("git", ["rev-parse", "HEAD"], { cwd: root }).trim();
    const build = { root, release, commit, localExecutable: join(work, "local"), native, fast, out, work };
    buildExecutable(build, build.localExecutable);
    for (const name of options.architectures) {
      await makeArtefacts(build, architectures[name], async (line) => {
        // Lets a signal in between two steps, which do not wait for anything.
        await setImmediate();
        signal.throwIfAborted();
        console.log(`${name}: ${line}`);
      });
    }
    const withCrates = native === undefined ? [] : crates(root, architectures.amd64.rustTarget);
    writeFileSync(
      join(out, `bao-kms-provider_${release.version}_sbom.cdx.json`),
      sbom(root, release, npmPackages(root), withCrates),
    );
    copyFileSync(join(root, "scripts", "verify-release"), join(out, "bao-kms-provider_verify-release"));
    if (!writeEvidence(build, options.architectures, keyFile)) {
      console.log(
        "unsigned: no --key was given, so there are no signatures; provenance.json is the bare statement",
      );
    }
    renameSync(out, options.out);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** What can be known before minutes of work: the programs, the key, the folders. */
function checkBefore({ out, keyFile, native }: ReleaseOptions): void {
  const missing = missingTools({ ...releaseTools, ...(native === undefined ? {} : nativeTools) }, Bun.which);
  if (missing !== undefined) {
    throw new Error(missing);
  }
  if (existsSync(out) && readdirSync(out).length > 0) {
    throw new Error(`${out} is not empty; name a new folder or remove it`);
  }
  if (keyFile !== undefined) {
    readFileSync(keyFile);
  }
  if (native !== undefined && !existsSync(native)) {
    throw new Error(`--native: ${native} does not exist; make it with native/build`);
  }
}

const help = `usage: scripts/release [--out DIR] [--arch amd64,arm64] [--key PRIVATE-KEY.pem] [--native DIR] [--fast]

Makes deb, rpm, tarball, bundles, image, bill of materials, checksums and provenance of the version in package.json.
  --out DIR     an empty or new folder (dist/release)
  --arch LIST   amd64, arm64 or both (both)
  --key FILE    signs checksums and provenance; openssl asks for its passphrase
  --native DIR  DIR/amd64 and DIR/arm64 as made by native/build; without it PKCS#11 is left out
  --fast        weak compression, not for publishing
Needs: Debian 12 or newer with dpkg, rpm, openssl, apt, xz-utils; git; npm.
`;

async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      out: { type: "string", default: join(root, "dist", "release") },
      arch: { type: "string", default: "amd64,arm64" },
      key: { type: "string" },
      native: { type: "string" },
      fast: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(help);
    return;
  }
  const known = Object.keys(architectures);
  const chosen = values.arch.split(",");
  const unknown = chosen.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new Error(`--arch knows ${known.join(" and ")}, not ${unknown.join(", ")}`);
  }
  const interruption = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.on(name, () => interruption.abort(new Error(`ended by ${name}; nothing was left behind`)));
  }
  const out = resolve(values.out);
  await makeRelease(
    {
      out,
      architectures: chosen.filter((name): name is keyof typeof architectures => name in architectures),
      keyFile: values.key === undefined ? undefined : resolve(values.key),
      native: values.native === undefined ? undefined : resolve(values.native),
      fast: values.fast,
    },
    interruption.signal,
  );
  console.log(`made ${out}`);
}

if (import.meta.main) {
  main(process.argv.slice(2)).catch((error: unknown) => {
    console.error(`release: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  });
}
