/** @module The RPM package, by rpmbuild, without a time or name of this machine. */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Architecture } from "./architecture.ts";
import { packageDescription, packageHomepage, packageMaintainer, packageSummary } from "./description.ts";
import type { ReleaseVersion } from "./release-version.ts";
import { run } from "./run.ts";
import type { Compression, StagedFile } from "./stage.ts";

function part(name: string): string {
  // A percent sign is a macro in a spec file.
  return readFileSync(join(import.meta.dir, "linux", name), "utf8").replaceAll("%", "%%");
}

/** rpm passes how many versions will be installed when the script ends: 1 first install, 2 upgrade, 0 removal. */
function scriptlets(): readonly string[] {
  return [
    "%post",
    part("identities-and-directories.sh"),
    part("installed.sh"),
    "if [ $1 -gt 1 ]; then after_install upgrade; else after_install first; fi",
    "%preun",
    part("removed.sh"),
    "if [ $1 -eq 0 ]; then before_removal; fi",
    "%postun",
    part("removed.sh"),
    "if [ $1 -eq 0 ]; then after_removal; fi",
  ];
}

function fileLine({ path, mode }: StagedFile): string {
  const mark = path.startsWith("/usr/share/doc/") || path.startsWith("/usr/share/man/") ? "%doc " : "";
  return `%attr(0${mode.toString(8)},root,root) ${mark}"${path}"`;
}

function rpmSpec(files: readonly StagedFile[], release: ReleaseVersion, compression: Compression): string {
  const native = files.some((each) => each.path.endsWith(".node"));
  const folders = [
    ...new Set(
      files
        .map(({ path }) => path.slice(0, path.lastIndexOf("/")))
        .flatMap((folder) => folder.split("/").map((_, depth, names) => names.slice(0, depth + 1).join("/")))
        .filter((folder) => /\/(bao-kms-provider|openbao-kms)(\/|$)/.test(folder)),
    ),
  ].sort();
  return [
    `%define _binary_payload w${compression}.xzdio`,
    "Name: bao-kms-provider",
    `Version: ${release.version.replace("-", "~")}`,
    "Release: 1",
    `Summary: ${packageSummary}`,
    "License: Apache-2.0",
    `URL: ${packageHomepage}`,
    `Packager: ${packageMaintainer}`,
    "AutoReqProv: no",
    "Requires: glibc >= 2.34, /bin/sh",
    "Requires(post): /usr/bin/install, /usr/bin/getent",
    "Recommends: systemd >= 252, shadow-utils",
    ...(native ? ["Recommends: libstdc++ >= 11"] : []),
    "%description",
    ...packageDescription,
    ...scriptlets(),
    "%files",
    ...folders.map((folder) => `%dir %attr(0755,root,root) "${folder}"`),
    ...files.map(fileLine),
    "",
  ].join("\n");
}

const macros: readonly string[] = [
  "_buildhost reproducible",
  "use_source_date_epoch_as_buildtime 1",
  "clamp_mtime_to_source_date_epoch 1",
  "_build_id_links none",
  "debug_package %{nil}",
  // Stripping or compressing would cut off what is appended to Bun's executable.
  "__os_install_post %{nil}",
  "__spec_install_pre %{nil}",
];

export function writeRpm(
  stageFolder: string,
  files: readonly StagedFile[],
  architecture: Architecture,
  release: ReleaseVersion,
  compression: Compression,
  work: string,
  file: string,
): void {
  mkdirSync(work, { recursive: true });
  const spec = join(work, "bao-kms-provider.spec");
  writeFileSync(spec, rpmSpec(files, release, compression));
  run(
    "rpmbuild",
    [
      "-bb",
      `--target=${architecture.rpm}-linux`,
      `--buildroot=${stageFolder}`,
      ...["_topdir", "_tmppath"].flatMap((name) => ["--define", `${name} ${work}`]),
      ...macros.flatMap((macro) => ["--define", macro]),
      "--noclean",
      spec,
    ],
    { env: { SOURCE_DATE_EPOCH: String(release.epochSeconds), HOME: work } },
  );
  const made = join(work, "RPMS", architecture.rpm);
  const [name] = readdirSync(made);
  if (name === undefined) {
    throw new Error(`rpmbuild left no package in ${made}`);
  }
  copyFileSync(join(made, name), file);
}
