/** @module The ancestor directories of a path. */
import { dirname } from "node:path";

/** `/`, `/run`, `/run/x` for `/run/x`: from the root to the path itself. */
export function ancestorsOf(path: string): readonly string[] {
  const parent = dirname(path);
  return parent === path ? [path] : [...ancestorsOf(parent), path];
}
