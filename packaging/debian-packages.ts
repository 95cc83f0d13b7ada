/** @module Debian packages for the image, for any architecture: apt resolves and verifies them in a private folder. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Architecture } from "./architecture.ts";
import { run } from "./run.ts";

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
export function unpackDebian(
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
