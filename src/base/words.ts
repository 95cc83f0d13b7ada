/** @module How messages count things. */

export function countOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** "no version", "version 1", "versions 1, 2". */
export function versionList(versions: readonly number[]): string {
  return versions.length === 0
    ? "no version"
    : `version${versions.length === 1 ? "" : "s"} ${versions.join(", ")}`;
}
