/** @module The container image: C library, executable, native parts, names for user 65532. No shell, no packages, no certificates. */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Architecture } from "./architecture.ts";
import { imageRepository, packageSummary } from "./description.ts";
import { writeOciLayout } from "./oci-layout.ts";
import type { ReleaseVersion } from "./release-version.ts";
import { run } from "./run.ts";
import { type Origins, settle, stage } from "./stage.ts";
import { tarOf } from "./tarball.ts";

/** What Bun's executable and glibc's own name lookup load. */
const cLibrary = ["libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "libresolv.so.2"];
const nameLookup = ["libnss_dns.so.2", "libnss_files.so.2"];
/** What a PKCS#11 module and its addon load. */
const cppLibrary = ["libstdc++.so.6", "libgcc_s.so.1"];

const accounts = {
  "etc/passwd":
    "root:x:0:0:root:/:/sbin/nologin\nopenbao-kms:x:65532:65532:OpenBao KMS provider:/:/sbin/nologin\n",
  "etc/group": "root:x:0:\nopenbao-kms:x:65532:\n",
  "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
};

interface ImageInputs {
  readonly architecture: Architecture;
  readonly release: ReleaseVersion;
  readonly commit: string;
  readonly origins: Origins;
  readonly gzipLevel: number;
  /** Scratch folder. */
  readonly work: string;
}

const suite = "bookworm";
const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
const publicMirror = "http://deb.debian.org/debian";

/** The mirror of DEBIAN_MIRROR, or the one this machine uses, or the public one. */
function mirror(): string {
  const configured = process.env["DEBIAN_MIRROR"];
  if (configured !== undefined && configured !== "") {
    return configured;
  }
  const folder = "/etc/apt/sources.list.d";
  const lists = readdirSync(folder).map((name) => readFileSync(join(folder, name), "utf8"));
  return /https?:\/\/\S+\/debian\/?(?=\s)/.exec(lists.join("\n"))?.[0] ?? publicMirror;
}

/** Downloads `names` and unpacks them below `target`; the control files of each lie in `target`-control/NAME. */
function unpackDebian(
  names: readonly string[],
  architecture: Architecture,
  work: string,
  target: string,
): void {
  const state = join(work, `apt-${architecture.name}`);
  for (const folder of ["state/lists/partial", "cache/archives/partial", "download"]) {
    mkdirSync(join(state, folder), { recursive: true });
  }
  const url = mirror();
  writeFileSync(
    join(state, "sources.list"),
    [`${url} ${suite}`, `${url} ${suite}-updates`, `${url}-security ${suite}-security`]
      .map((source) => `deb [signed-by=${keyring}] ${source} main\n`)
      .join(""),
  );
  const options = [
    `Dir::State=${state}/state`,
    `Dir::Cache=${state}/cache`,
    `Dir::Etc::sourcelist=${state}/sources.list`,
    "Dir::Etc::sourceparts=/dev/null",
    "Dir::State::status=/dev/null",
    `APT::Architecture=${architecture.name}`,
    `APT::Architectures::=${architecture.name}`,
    "APT::Sandbox::User=root",
    "Acquire::Languages=none",
  ].flatMap((option) => ["-o", option]);
  run("apt-get", [...options, "update"]);
  const download = join(state, "download");
  run("apt-get", [...options, "download", ...names], { cwd: download });
  mkdirSync(`${target}-control`, { recursive: true });
  for (const file of readdirSync(download).sort()) {
    run("dpkg-deb", ["--extract", join(download, file), target]);
    run("dpkg-deb", [
      "--control",
      join(download, file),
      join(`${target}-control`, file.split("_")[0] ?? file),
    ]);
  }
}

/** `from` under whichever of the folders of a Debian package has it: /lib before merged /usr, /usr/lib after. */
function copyLibrary(unpacked: string, layer: string, architecture: Architecture, name: string): void {
  const found = [architecture.libraryFolder, `/usr${architecture.libraryFolder}`].find((folder) =>
    existsSync(join(unpacked, folder, name)),
  );
  if (found === undefined) {
    throw new Error(`no ${name} in the Debian packages for ${architecture.name}`);
  }
  const target = join(layer, architecture.libraryFolder, name);
  mkdirSync(dirname(target), { recursive: true });
  cpSync(join(unpacked, found, name), target, { dereference: true });
}

function libraryLayer(inputs: ImageInputs, native: boolean): Buffer {
  const { architecture, work, release } = inputs;
  const unpacked = join(work, "debian");
  const layer = join(work, "layer-library");
  mkdirSync(layer, { recursive: true });
  unpackDebian(["libc6", ...(native ? ["libstdc++6", "libgcc-s1"] : [])], architecture, work, unpacked);
  for (const name of [...cLibrary, ...nameLookup, ...(native ? cppLibrary : [])]) {
    copyLibrary(unpacked, layer, architecture, name);
  }
  const loader = join(layer, architecture.loader);
  mkdirSync(dirname(loader), { recursive: true });
  cpSync(join(unpacked, architecture.libraryFolder, architecture.loader.split("/").at(-1) ?? ""), loader, {
    dereference: true,
  });
  // Scanners of images read installed Debian packages from here, as in Google's distroless images.
  for (const name of readdirSync(`${unpacked}-control`)) {
    put(
      layer,
      `var/lib/dpkg/status.d/${name}`,
      readFileSync(join(`${unpacked}-control`, name, "control"), "utf8"),
    );
    const copyright = `usr/share/doc/${name}/copyright`;
    if (existsSync(join(unpacked, copyright))) {
      put(layer, copyright, readFileSync(join(unpacked, copyright), "utf8"));
    }
  }
  settle(layer, release.epochSeconds);
  return tarOf(layer, release.epochSeconds);
}

function put(layer: string, path: string, text: string): void {
  mkdirSync(dirname(join(layer, path)), { recursive: true });
  writeFileSync(join(layer, path), text, { mode: 0o644 });
}

function applicationLayer({ work, origins, release }: ImageInputs): Buffer {
  const layer = join(work, "layer-application");
  mkdirSync(layer, { recursive: true });
  for (const [path, text] of Object.entries(accounts)) {
    put(layer, path, text);
  }
  // Where the pod mounts its volumes.
  for (const folder of ["etc/openbao-kms", "var/lib/openbao-kms/state", "run/openbao-kms", "tmp"]) {
    mkdirSync(join(layer, folder), { recursive: true });
  }
  stage("image", "installed", layer, origins, release.epochSeconds);
  return tarOf(layer, release.epochSeconds);
}

/** Writes the layout to `folder`; returns the image's digest. */
export function writeImage(inputs: ImageInputs, folder: string): string {
  const { release, architecture } = inputs;
  const created = new Date(release.epochSeconds * 1000).toISOString();
  return writeOciLayout(
    {
      architecture: architecture.name,
      created,
      // By digest, as the static pod's manifest asks for it: kubelet then starts what was imported and pulls nothing.
      reference: (digest) => `${imageRepository}@${digest}`,
      tag: release.version,
      gzipLevel: inputs.gzipLevel,
      layers: [libraryLayer(inputs, inputs.origins.native !== undefined), applicationLayer(inputs)],
      config: {
        User: "65532:65532",
        Entrypoint: ["/usr/bin/bao-kms-provider"],
        Cmd: ["serve", "--config", "/etc/openbao-kms/config.yaml"],
        Env: ["PATH=/usr/bin"],
        WorkingDir: "/",
        Labels: {
          "org.opencontainers.image.title": "bao-kms-provider",
          "org.opencontainers.image.description": packageSummary,
          "org.opencontainers.image.version": release.version,
          "org.opencontainers.image.revision": inputs.commit,
          "org.opencontainers.image.created": created,
          "org.opencontainers.image.licenses": "Apache-2.0",
        },
      },
    },
    folder,
  );
}
