/**
 * JSON from bytes that may be anything.
 *
 * @module One function; the shape of what comes out is the caller's to check.
 */

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The value, or `undefined` when the bytes are not UTF-8 or the text is not JSON. JSON itself has no `undefined`. */
export function parseJson(source: Uint8Array | string): unknown {
  try {
    return JSON.parse(typeof source === "string" ? source : strictUtf8.decode(source));
  } catch {
    return undefined;
  }
}

/** The text of bytes that are UTF-8 from first to last. A byte order mark stays in it. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return undefined;
  }
}
