/**
 * @module One byte sequence per registry body, and its hash. Fields that this release does not know are kept, so that an older
 * release can rewrite the file of a newer one without loss.
 */
import { createHash } from "node:crypto";

export const REGISTRY_FORMAT = "bao-kms-provider.registry";
export const REGISTRY_FORMAT_VERSION = 1;

/** The self hash: over format, format version and the sorted body. */
export function bodyHash(sortedBody: unknown): string {
  return createHash("sha256")
    .update(`${REGISTRY_FORMAT}\0${REGISTRY_FORMAT_VERSION}\0`)
    .update(JSON.stringify(sortedBody))
    .digest("base64url");
}

/** The file's text. Format and hash come first, so that even a torn file says whose it is. */
export function fileText(hash: string, sortedBody: unknown): string {
  return `${JSON.stringify(
    { format: REGISTRY_FORMAT, formatVersion: REGISTRY_FORMAT_VERSION, hash, body: sortedBody },
    null,
    2,
  )}\n`;
}
