/**
 * One byte sequence per registry body, and its hash.
 *
 * @module JSON with sorted keys, pretty-printed for people. It carries fields that this release does not know, since an
 * older release must be able to rewrite what a newer one wrote, without loss.
 */
import { createHash } from "node:crypto";

export const REGISTRY_FORMAT = "bao-kms-provider.registry";
export const REGISTRY_FORMAT_VERSION = 1;

/** Deeper nesting than any release needs; bounds the recursion over hostile bytes. */
const MAX_DEPTH = 16;
/** Names that JavaScript gives a meaning of its own; validation would drop them, so they are refused instead. */
const FORBIDDEN_KEYS: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype"]);

/**
 * A deep copy with sorted keys.
 * @throws RangeError when the value is nested too deeply or uses a forbidden name.
 */
export function sortedCopy(value: unknown, depth = 0): unknown {
  if (typeof value !== "object" || value === null) {
    return value;
  }
  if (depth === MAX_DEPTH) {
    throw new RangeError("nested too deeply");
  }
  if (Array.isArray(value)) {
    return value.map((each) => sortedCopy(each, depth + 1));
  }
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, each]) => each !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, each]) => {
        if (FORBIDDEN_KEYS.has(key)) {
          throw new RangeError("a field has a reserved name");
        }
        return [key, sortedCopy(each, depth + 1)];
      }),
  );
}

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
