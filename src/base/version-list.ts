/** @module "version 1", "versions 1, 2". */
/** What messages call some versions; they are in the order in which they were given. */
export function versionList(versions: readonly number[]): string {
  return versions.length === 0
    ? "no version"
    : `version${versions.length === 1 ? "" : "s"} ${versions.join(", ")}`;
}
