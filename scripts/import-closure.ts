/** @module The files that a file imports, directly and through others. Type imports count. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

const IMPORTED = /(?:from|import)\s*\(?\s*"(\.[^"]+)"/g;
const cache = new Map<string, readonly string[]>();

/** How many imports lie between the file and each that it reaches, by its path from `root`; 0 for itself. */
export function importDistances(root: string, file: string): ReadonlyMap<string, number> {
  const distances = new Map([[file, 0]]);
  // A map can grow while it is walked, in the order of insertion: nearest first.
  for (const [next, distance] of distances) {
    for (const imported of importsOf(root, next)) {
      if (!distances.has(imported)) {
        distances.set(imported, distance + 1);
      }
    }
  }
  return distances;
}

function importsOf(root: string, file: string): readonly string[] {
  const path = join(root, file);
  const known = cache.get(path);
  if (known !== undefined) {
    return known;
  }
  const text = existsSync(path) ? readFileSync(path, "utf8") : "";
  const found = [...text.matchAll(IMPORTED)].map((match) =>
    relative(root, join(dirname(path), match[1] ?? "")),
  );
  cache.set(path, found);
  return found;
}
