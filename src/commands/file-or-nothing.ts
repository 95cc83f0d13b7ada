/** @module What is to be known of a path where its absence is an answer too. */
import { readFileSync, type Stats, statSync } from "node:fs";

export function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

export function statOrUndefined(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}
