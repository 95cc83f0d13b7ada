/** @module The npm packages inside the executable, from package-lock.json, without development tools and optional peers. */
import { join } from "node:path";
import manifest from "../package.json";
import lock from "../package-lock.json";
import { licenseTexts } from "./license-texts.ts";

export interface NpmPackage {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly texts: readonly string[];
}

interface LockedPackage {
  readonly version?: string;
  readonly license?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

const modules = "node_modules/";
const locked: Readonly<Record<string, LockedPackage>> = lock.packages;

/** Where the package at `path` finds `name`: below itself, else below the nearest package around it. */
function resolved(path: string, name: string): string {
  const inside = `${path === "" ? "" : `${path}/`}${modules}${name}`;
  if (inside in locked) {
    return inside;
  }
  if (path === "") {
    throw new Error(`package-lock.json has no ${name}; run npm install`);
  }
  return resolved(path.slice(0, path.lastIndexOf(modules)).replace(/\/$/, ""), name);
}

export function productionPackages(root: string): readonly NpmPackage[] {
  const paths = new Set<string>([""]);
  // A set's loop also visits what is added during it.
  for (const path of paths) {
    for (const name of Object.keys(locked[path]?.dependencies ?? {})) {
      paths.add(resolved(path, name));
    }
  }
  paths.delete("");
  return [...paths].sort().map((path) => ({
    name: path.slice(path.lastIndexOf(modules) + modules.length),
    version: locked[path]?.version ?? "",
    license: locked[path]?.license ?? "see its source",
    texts: licenseTexts(join(root, path)),
  }));
}

export const bunVersion = manifest.devDependencies.bun;
