/** @module The Debian package, by dpkg-deb: the same stage and scripts give the same bytes. */
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Architecture } from "./architecture.ts";
import { packageDescription, packageHomepage, packageMaintainer, packageSummary } from "./description.ts";
import type { ReleaseVersion } from "./release-version.ts";
import { run } from "./run.ts";
import { type Compression, type StagedFile, settle } from "./stage.ts";

const scripts = join(import.meta.dir, "linux");

function shell(...parts: readonly string[]): string {
  return ["#!/bin/sh", "set -e", "", ...parts].join("\n");
}

function part(name: string): string {
  return readFileSync(join(scripts, name), "utf8");
}

/** dpkg calls these by name; what they do is in linux/, shared with the rpm. */
function debScripts(): Readonly<Record<"postinst" | "prerm" | "postrm", string>> {
  return {
    postinst: shell(
      part("identities-and-directories.sh"),
      part("installed.sh"),
      "case $1 in",
      "configure)",
      '  if [ -n "$2" ]; then after_install upgrade; else after_install first; fi',
      "  ;;",
      "esac",
      "",
    ),
    prerm: shell(part("removed.sh"), "case $1 in", "remove) before_removal ;;", "esac", ""),
    postrm: shell(
      part("removed.sh"),
      "case $1 in",
      "remove) [ ! -d /run/systemd/system ] || systemctl daemon-reload ;;",
      "purge) after_removal ;;",
      "esac",
      "",
    ),
  };
}

/** Adds DEBIAN/ to the staged tree and writes the package to `file`. */
export function writeDeb(
  stageFolder: string,
  files: readonly StagedFile[],
  architecture: Architecture,
  release: ReleaseVersion,
  compression: Compression,
  file: string,
): void {
  const control = join(stageFolder, "DEBIAN");
  mkdirSync(control, { mode: 0o755 });
  const bytes = files.reduce((sum, each) => sum + statSync(join(stageFolder, each.path)).size, 0);
  const native = files.some((each) => each.path.endsWith(".node"));
  const fields = [
    "Package: bao-kms-provider",
    `Version: ${release.version.replace("-", "~")}`,
    `Architecture: ${architecture.name}`,
    `Maintainer: ${packageMaintainer}`,
    `Installed-Size: ${Math.ceil(bytes / 1024)}`,
    "Depends: libc6 (>= 2.34), passwd",
    `Recommends: systemd (>= 252)${native ? ", libstdc++6 (>= 11)" : ""}`,
    "Section: admin",
    "Priority: optional",
    `Homepage: ${packageHomepage}`,
    `Description: ${packageSummary}`,
    ...packageDescription.map((line) => ` ${line === "" ? "." : line}`),
  ];
  writeFileSync(join(control, "control"), `${fields.join("\n")}\n`);
  writeFileSync(
    join(control, "md5sums"),
    files
      .map(({ path }) => {
        const digest = createHash("md5").update(readFileSync(join(stageFolder, path)));
        return `${digest.digest("hex")}  ${path.slice(1)}\n`;
      })
      .join(""),
  );
  for (const [name, text] of Object.entries(debScripts())) {
    writeFileSync(join(control, name), text);
    chmodSync(join(control, name), 0o755);
  }
  settle(stageFolder, release.epochSeconds);
  // One thread: several cut the input into blocks, and give other bytes on another machine.
  const options = ["--root-owner-group", "-Zxz", `-z${compression}`, "--threads-max=1"];
  run("dpkg-deb", [...options, "--build", stageFolder, file], {
    env: { SOURCE_DATE_EPOCH: String(release.epochSeconds) },
  });
}
