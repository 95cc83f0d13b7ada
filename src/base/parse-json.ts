/** @module JSON from hostile bytes. Strict UTF-8 and JSON syntax. The caller bounds the bytes and checks the shape. */

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

export type JsonObject = Readonly<Record<string, unknown>>;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The JSON object, or `undefined` for everything else. Peers may send a byte order mark (RFC 8259 section 8.1). */
export function parseJsonObject(source: Uint8Array): JsonObject | undefined {
  const hasMark = source[0] === 0xef && source[1] === 0xbb && source[2] === 0xbf;
  const value = parseJson(hasMark ? source.subarray(3) : source);
  return isJsonObject(value) ? value : undefined;
}
