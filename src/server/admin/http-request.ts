/** @module One HTTP/1.x request without a body. What a proxy could read differently (RFC 9112) is malformed. */

/** Longest request line plus header section in bytes. */
export const MAX_REQUEST_BYTES = 8192;

type HttpRequest =
  /** The end of the header section has not arrived yet. */
  | { readonly kind: "incomplete" }
  | { readonly kind: "malformed" }
  | { readonly kind: "too_large" }
  | { readonly kind: "complete"; readonly method: string; readonly path: string };

const MALFORMED: HttpRequest = { kind: "malformed" };
const REQUEST_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) (\/[\x21-\x7e]*) HTTP\/1\.([01])$/;
const FIELD_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/;

export function decodeHttpRequest(bytes: Uint8Array): HttpRequest {
  // latin1 maps each byte to one character, so positions in the text are positions in the bytes.
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
  const end = text.indexOf("\r\n\r\n");
  if (end === -1 || end + 4 > MAX_REQUEST_BYTES) {
    return text.length > MAX_REQUEST_BYTES ? { kind: "too_large" } : looksHopeless(text);
  }
  if (text.length > end + 4) {
    return MALFORMED;
  }
  const [requestLine = "", ...fieldLines] = text.slice(0, end).split("\r\n");
  const request = REQUEST_LINE.exec(requestLine);
  if (request === null || !fieldsAllowed(fieldLines, request[3] === "1")) {
    return MALFORMED;
  }
  const [path = ""] = (request[2] ?? "").split("?");
  return { kind: "complete", method: request[1] ?? "", path };
}

/** A request that cannot become one any more is answered without waiting for its end. */
function looksHopeless(text: string): HttpRequest {
  const lineEnd = text.indexOf("\r\n");
  return lineEnd !== -1 && !REQUEST_LINE.test(text.slice(0, lineEnd)) ? MALFORMED : { kind: "incomplete" };
}

function fieldsAllowed(lines: readonly string[], hostRequired: boolean): boolean {
  let hosts = 0;
  for (const line of lines) {
    const field = FIELD_LINE.exec(line);
    if (field === null) {
      return false;
    }
    switch ((field[1] ?? "").toLowerCase()) {
      case "host":
        hosts += 1;
        break;
      case "transfer-encoding":
        return false;
      case "content-length":
        if ((field[2] ?? "").trimEnd() !== "0") {
          return false;
        }
        break;
    }
  }
  return hosts === 1 || (hosts === 0 && !hostRequired);
}
