/** @module Every artefact of a release for one architecture: executable, image, tarball, bundles, deb and rpm. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Architecture } from "./architecture.ts";
import { writeDeb } from "./deb.ts";
import { writeImage } from "./image.ts";
import { thirdPartyLicenses } from "./licenses.ts";
import { crates, npmPackages } from "./materials.ts";
import type { ReleaseVersion } from "./release-version.ts";
import { writeRpm } from "./rpm.ts";
import { run } from "./run.ts";
import { type Naming, stage } from "./stage.ts";
import { gzip, tarOf } from "./tarball.ts";

/** What the artefacts of all architectures have in common. */
export interface Build {
  readonly root: string;
  readonly release: ReleaseVersion;
  readonly commit: string;
  /** An executable for this machine, asked for completions. */
  readonly localExecutable: string;
  /** Folder with tls.node and pkcs11.node per architecture (FOLDER/amd64/…); undefined leaves the native parts out. */
  readonly native: string | undefined;
  /** Weak compression, for tests of everything but size. */
  readonly fast: boolean;
  /** Where the artefacts are made. */
  readonly out: string;
  readonly work: string;
}

export function buildExecutable(
  { root, commit }: Pick<Build, "root" | "commit">,
  outfile: string,
  ...target: readonly string[]
): void {
  const args = ["scripts/build.ts", `--outfile=${outfile}`, ...target.map((name) => `--target=${name}`)];
  run(process.execPath, args, { cwd: root, env: { BUILD_COMMIT: commit } });
}

/** What is made before anything is packed: the executable, completions, man page, licences. */
function generate(build: Build, architecture: Architecture, hasNative: boolean, folder: string): void {
  const { root, localExecutable } = build;
  mkdirSync(join(folder, "completions"), { recursive: true });
  buildExecutable(build, join(folder, "bao-kms-provider"), architecture.bunTarget);
  for (const shell of ["bash", "zsh", "fish"]) {
    writeFileSync(join(folder, "completions", shell), run(localExecutable, ["completion", shell]));
  }
  const manual = readFileSync(join(root, "docs", "reference", "bao-kms-provider.8"));
  writeFileSync(join(folder, "bao-kms-provider.8.gz"), gzip(manual, 9));
  const licenses = thirdPartyLicenses(
    npmPackages(root),
    hasNative ? crates(root, architecture.rustTarget) : [],
  );
  writeFileSync(join(folder, "THIRD-PARTY-LICENSES"), licenses);
}

/** The static pod's files, with the image of this release named by its digest. */
function pinImage(root: string, digest: string, folder: string): void {
  const from = join(root, "deploy", "static-pod");
  const to = join(folder, "deploy", "static-pod");
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from)) {
    const text = readFileSync(join(from, name), "utf8");
    writeFileSync(
      join(to, name),
      text.replace(/bao-kms-provider@sha256:0{64}/, `bao-kms-provider@${digest}`),
    );
  }
}

/** `step` is called before each step with its name. */
export async function makeArtefacts(
  build: Build,
  architecture: Architecture,
  step: (line: string) => Promise<void>,
): Promise<void> {
  const { root, release, commit, fast } = build;
  const { epochSeconds } = release;
  const work = join(build.work, architecture.name);
  const native = build.native === undefined ? undefined : join(build.native, architecture.name);
  const hasNative = native !== undefined && existsSync(join(native, "tls.node"));
  await step(`executable${hasNative ? "" : " (without the native parts for PKCS#11)"}`);
  const generated = join(work, "generated");
  generate(build, architecture, hasNative, generated);
  const origins = { repository: root, generated, native: hasNative ? native : undefined };
  const name = (kind: string): string =>
    `bao-kms-provider${kind}_${release.version}_linux_${architecture.name}`;
  const file = (kind: string, suffix: string): string => join(build.out, name(kind) + suffix);
  const gzipLevel = fast ? 1 : 9;
  const compression = fast ? 0 : 9;

  await step("image");
  const layout = join(work, "oci");
  const image = { architecture, release, commit, origins, gzipLevel, work: join(work, "image") };
  pinImage(root, writeImage(image, layout), generated);
  writeFileSync(file("_image", ".oci.tar"), tarOf(layout, epochSeconds));

  await step("tarball and bundles");
  for (const [artefact, kind] of [
    ["tarball", ""],
    ["systemd", "_systemd"],
    ["static-pod", "_static-pod"],
  ] as const) {
    const folder = join(work, artefact);
    stage(artefact, "archived", folder, origins, epochSeconds);
    writeFileSync(file(kind, ".tar.gz"), gzip(tarOf(folder, epochSeconds, name(kind)), gzipLevel));
  }

  await step("deb and rpm");
  const deb = join(work, "deb");
  const rpm = join(work, "rpm");
  const staged = (folder: string, naming: Naming) => stage("package", naming, folder, origins, epochSeconds);
  writeDeb(deb, staged(deb, "installed"), architecture, release, compression, file("", ".deb"));
  writeRpm(
    rpm,
    staged(rpm, "installedByRpm"),
    architecture,
    release,
    compression,
    join(work, "rpmbuild"),
    file("", ".rpm"),
  );
}
