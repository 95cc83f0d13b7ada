/**
 * The npm packages that the executable is made from, as the lock file has them.
 *
 * @module Reads package-lock.json; development tools are left out.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import manifest from "../package.json";
import lock from "../package-lock.json";

export interface NpmPackage {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  /** Text of its licence file, when it ships one. */
  readonly text: string | undefined;
}

interface LockedPackage {
  readonly version?: string;
  readonly license?: string;
  readonly dev?: boolean;
}

export function productionPackages(root: string): readonly NpmPackage[] {
  const locked: Readonly<Record<string, LockedPackage>> = lock.packages;
  return Object.entries(locked)
    .filter(([path, each]) => path !== "" && each.dev !== true)
    .map(([path, each]) => ({
      name: path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length),
      version: each.version ?? "",
      license: each.license ?? "see its source",
      text: licenseText(join(root, path)),
    }));
}

export const bunVersion = manifest.devDependencies.bun;

function licenseText(folder: string): string | undefined {
  if (!existsSync(folder)) {
    return undefined;
  }
  const file = readdirSync(folder).find((name) => /^licen[cs]e(\.md|\.txt)?$/i.test(name));
  return file === undefined ? undefined : readFileSync(join(folder, file), "utf8").trim();
}
