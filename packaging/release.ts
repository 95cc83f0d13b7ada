/** @module Makes every artefact of a release: `scripts/release --help`. */
import { createHash } from "node:crypto";
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
import type { Architecture, ArchitectureName } from "./architecture.ts";
import { architectures } from "./architecture.ts";
import { crates } from "./crates.ts";
import { writeDeb } from "./deb.ts";
import { placeholders } from "./description.ts";
import { buildExecutable, generate, pinImage } from "./generated.ts";
import { writeImage } from "./image.ts";
import { thirdPartyLicenses } from "./licenses.ts";
import { bunVersion, productionPackages } from "./npm-packages.ts";
import { provenance } from "./provenance.ts";
import { missingTools, nativeTools, releaseTools } from "./release-tools.ts";
import type { ReleaseVersion } from "./release-version.ts";
import { releaseVersion } from "./release-version.ts";
import { writeRpm } from "./rpm.ts";
import { run } from "./run.ts";
import { sbom } from "./sbom.ts";
import { blobSignature, envelope } from "./signature.ts";
import type { Origins } from "./stage.ts";
import { stage } from "./stage.ts";
import { tarOf, writeTarball } from "./tarball.ts";

interface ReleaseOptions {
  readonly out: string;
  readonly architectures: readonly ArchitectureName[];
  /** PEM private key; undefined leaves checksums and provenance unsigned. */
  readonly keyFile: string | undefined;
  /** Folder with tls.node and pkcs11.node per architecture (FOLDER/amd64/…); undefined leaves the native parts out. */
  readonly native: string | undefined;
  /** Weak compression, for tests of everything but size. */
  readonly fast: boolean;
  readonly log: (line: string) => void;
  /** Aborts on SIGINT or SIGTERM; looked at between the steps. */
  readonly signal: AbortSignal;
}

const root = dirname(import.meta.dir);

interface Shared {
  readonly options: ReleaseOptions;
  readonly release: ReleaseVersion;
  readonly commit: string;
  readonly localExecutable: string;
  /** Where the artefacts are made; it becomes `options.out` when all are there. */
  readonly out: string;
  readonly work: string;
}

function commitOf(): string {
  return process.env["BUILD_COMMIT"] ?? run("git", ["rev-parse", "HEAD"], { cwd: root }).trim();
}

async function makeForArchitecture(shared: Shared, architecture: Architecture): Promise<void> {
  const { options, release, commit, localExecutable, out } = shared;
  const { fast, signal } = options;
  /** Lets a signal in between two steps, which do not wait for anything. */
  const step = async (line: string): Promise<void> => {
    await setImmediate();
    signal.throwIfAborted();
    options.log(`${architecture.name}: ${line}`);
  };
  const work = join(shared.work, architecture.name);
  const native = options.native === undefined ? undefined : join(options.native, architecture.name);
  const has = native !== undefined && existsSync(join(native, "tls.node"));
  await step(`executable${has ? "" : " (without the native parts for PKCS#11)"}`);

  const generated = join(work, "generated");
  generate(
    {
      root,
      architecture,
      commit,
      localExecutable,
      licenses: thirdPartyLicenses(
        bunVersion,
        productionPackages(root),
        has ? crates(root, architecture.rustTarget) : [],
      ),
    },
    generated,
  );
  const origins: Origins = { repository: root, generated, native: has ? native : undefined };
  const file = (kind: string, suffix: string): string =>
    join(out, `bao-kms-provider${kind}_${release.version}_linux_${architecture.name}${suffix}`);
  const gzipLevel = fast ? 1 : 9;
  const compression = fast ? 0 : 9;

  await step("image");
  const layout = join(work, "oci");
  const digest = writeImage(
    { architecture, release, commit, origins, gzipLevel, work: join(work, "image") },
    layout,
  );
  writeFileSync(file("_image", ".oci.tar"), tarOf(layout, release.epochSeconds));
  pinImage(root, digest, generated);

  await step("tarball and bundles");
  for (const [artefact, kind] of [
    ["tarball", ""],
    ["systemd", "_systemd"],
    ["static-pod", "_static-pod"],
  ] as const) {
    const folder = join(work, artefact);
    stage(artefact, "archived", folder, origins, release.epochSeconds);
    const name = `bao-kms-provider${kind}_${release.version}_linux_${architecture.name}`;
    writeTarball(folder, name, release.epochSeconds, gzipLevel, file(kind, ".tar.gz"));
  }

  await step("deb and rpm");
  const deb = join(work, "deb");
  const rpm = join(work, "rpm");
  writeDeb(
    deb,
    stage("package", "installed", deb, origins, release.epochSeconds),
    architecture,
    release,
    compression,
    file("", ".deb"),
  );
  writeRpm(
    rpm,
    stage("package", "installedByRpm", rpm, origins, release.epochSeconds),
    architecture,
    release,
    compression,
    join(work, "rpmbuild"),
    file("", ".rpm"),
  );
}

function sha256(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}

function writeEvidence({ options, release, commit, out, work }: Shared): void {
  const { keyFile } = options;
  const withCrates = options.native === undefined ? [] : crates(root, architectures.amd64.rustTarget);
  writeFileSync(
    join(out, `bao-kms-provider_${release.version}_sbom.cdx.json`),
    sbom({ root, release, bunVersion, packages: productionPackages(root), crates: withCrates }),
  );
  copyFileSync(join(root, "scripts", "verify-release"), join(out, "bao-kms-provider_verify-release"));
  const files = readdirSync(out)
    .filter((name) => name.startsWith("bao-kms-provider"))
    .sort()
    .map((name) => ({ name, sha256: sha256(join(out, name)) }));
  const checksums = files.map(({ name, sha256: digest }) => `${digest}  ${name}\n`).join("");
  writeFileSync(join(out, "checksums.txt"), checksums);
  const statement = provenance({
    version: release.version,
    commit,
    architectures: options.architectures,
    bunVersion,
    lockFile: readFileSync(join(root, "package-lock.json")),
    files,
  });
  if (keyFile === undefined) {
    writeFileSync(join(out, "provenance.json"), statement);
    options.log(
      "unsigned: no --key was given, so there are no signatures; provenance.json is the bare statement",
    );
    return;
  }
  writeFileSync(join(out, "checksums.txt.sig"), blobSignature(Buffer.from(checksums), keyFile, work));
  writeFileSync(join(out, "provenance.intoto.jsonl"), envelope(statement, keyFile, work));
}

/** Makes the release in `out`, which must be empty or absent. A release that fails leaves nothing behind. */
async function makeRelease(options: ReleaseOptions): Promise<ReleaseVersion> {
  const release = releaseVersion(root);
  checkBefore(options);
  for (const placeholder of placeholders()) {
    options.log(`warning: ${placeholder}; set your own in package.json before you publish`);
  }
  mkdirSync(dirname(options.out), { recursive: true });
  const work = mkdtempSync(`${options.out}.unfinished-`);
  try {
    const out = join(work, "out");
    mkdirSync(out);
    const localExecutable = join(work, "local");
    const commit = commitOf();
    buildExecutable(root, commit, undefined, localExecutable);
    const shared = { options, release, commit, localExecutable, out, work };
    for (const name of options.architectures) {
      await makeForArchitecture(shared, architectures[name]);
    }
    writeEvidence(shared);
    renameSync(out, options.out);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return release;
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
  const chosen = values.arch.split(",");
  const known = Object.keys(architectures);
  const unknown = chosen.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new Error(`--arch knows ${known.join(" and ")}, not ${unknown.join(", ")}`);
  }
  const interruption = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.on(name, () => interruption.abort(new Error(`ended by ${name}; nothing was left behind`)));
  }
  await makeRelease({
    out: resolve(values.out),
    architectures: chosen.filter((name): name is ArchitectureName => name in architectures),
    keyFile: values.key === undefined ? undefined : resolve(values.key),
    native: values.native === undefined ? undefined : resolve(values.native),
    fast: values.fast,
    log: (line) => console.log(line),
    signal: interruption.signal,
  });
  console.log(`made ${resolve(values.out)}`);
}

if (import.meta.main) {
  main(process.argv.slice(2)).catch((error: unknown) => {
    console.error(`release: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  });
}
