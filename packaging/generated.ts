/** @module What a release makes before it packs: the executable, completions, man page, licences. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Architecture } from "./architecture.ts";
import { run } from "./run.ts";
import { gzip } from "./tarball.ts";

export interface GeneratedInputs {
  readonly root: string;
  readonly architecture: Architecture;
  readonly commit: string;
  /** An executable for this machine, asked for completions. */
  readonly localExecutable: string;
  readonly licenses: string;
}

export function buildExecutable(
  root: string,
  commit: string,
  target: string | undefined,
  outfile: string,
): void {
  const args = [
    "scripts/build.ts",
    `--outfile=${outfile}`,
    ...(target === undefined ? [] : [`--target=${target}`]),
  ];
  run(process.execPath, args, { cwd: root, env: { BUILD_COMMIT: commit } });
}

export function generate(inputs: GeneratedInputs, folder: string): void {
  const { root, architecture, commit, localExecutable } = inputs;
  mkdirSync(join(folder, "completions"), { recursive: true });
  buildExecutable(root, commit, architecture.bunTarget, join(folder, "bao-kms-provider"));
  for (const shell of ["bash", "zsh", "fish"]) {
    writeFileSync(join(folder, "completions", shell), run(localExecutable, ["completion", shell]));
  }
  const manual = readFileSync(join(root, "docs", "reference", "bao-kms-provider.8"));
  writeFileSync(join(folder, "bao-kms-provider.8.gz"), gzip(manual, 9));
  writeFileSync(join(folder, "THIRD-PARTY-LICENSES"), inputs.licenses);
}

/** The static pod's files, with the image of this release named by its digest. */
export function pinImage(root: string, digest: string, folder: string): void {
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
