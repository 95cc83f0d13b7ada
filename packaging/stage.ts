/** @module Lays the pieces of one artefact out in a folder, with the modes and times that the artefact will show. */
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, statSync, utimesSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Artefact, contents, type Origin, type Piece } from "./contents.ts";

export type Origins = Readonly<Record<Origin, string | undefined>>;

/** How a piece is named in an artefact: as installed on a host, or as archived in a tarball. */
export type Naming = "installed" | "installedByRpm" | "archived";

/** xz's presets: 0 is quick and weak, 9 is for publishing and takes a minute for each package. */
export type Compression = 0 | 9;

export interface StagedFile {
  /** Relative to the stage, with a leading slash. */
  readonly path: string;
  readonly mode: number;
}

function nameOf(piece: Piece, naming: Naming): string {
  const name =
    naming === "archived"
      ? piece.archived
      : ((naming === "installedByRpm" ? piece.installedByRpm : undefined) ?? piece.installed);
  if (name === undefined || name === "") {
    throw new Error(`the table of contents gives no ${naming} name for ${piece.from}`);
  }
  return name.startsWith("/") ? name : `/${name}`;
}

function filesBelow(path: string): readonly string[] {
  if (!statSync(path).isDirectory()) {
    return [""];
  }
  return readdirSync(path, { recursive: true, encoding: "utf8" })
    .filter((name) => statSync(join(path, name)).isFile())
    .map((name) => `/${name}`)
    .sort();
}

/** Copies every piece of `artefact` below `folder`; an origin of undefined leaves its pieces out (no native parts). */
export function stage(
  artefact: Artefact,
  naming: Naming,
  folder: string,
  origins: Origins,
  epochSeconds: number,
): readonly StagedFile[] {
  const staged: StagedFile[] = [];
  for (const piece of contents.filter((each) => each.in.includes(artefact))) {
    const origin = origins[piece.origin];
    if (origin === undefined) {
      continue;
    }
    const source = join(origin, piece.from);
    if (!existsSync(source)) {
      throw new Error(`${source} is missing; the table of contents puts it in the ${artefact}`);
    }
    for (const below of filesBelow(source)) {
      const path = nameOf(piece, naming) + below;
      const target = join(folder, path);
      mkdirSync(dirname(target), { recursive: true, mode: 0o755 });
      copyFileSync(join(source, below), target);
      chmodSync(target, piece.mode);
      staged.push({ path, mode: piece.mode });
    }
  }
  settle(folder, epochSeconds);
  return staged.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Gives every file and folder the release's time, and folders 0755 whatever the umask. */
export function settle(folder: string, epochSeconds: number): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      settle(path, epochSeconds);
    } else if (entry.isFile()) {
      utimesSync(path, epochSeconds, epochSeconds);
    }
  }
  chmodSync(folder, 0o755);
  utimesSync(folder, epochSeconds, epochSeconds);
}
