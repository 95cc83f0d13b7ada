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
