/** @module The certificates of a PEM text. Whole blocks of other kinds are skipped; a block that is cut off is refused. */
import { X509Certificate } from "node:crypto";

/** One whole block of RFC 7468 of any label; its text never contains the beginning of another block. */
const BLOCK = /-----BEGIN ([A-Z0-9 ]{1,64})-----((?:(?!-----BEGIN )[\s\S])*?)-----END \1-----/g;
const BASE64_BODY = /^[A-Za-z0-9+/=\s]+$/;
/** Outside of whole blocks, the beginning or end of one. */
const HALF_BLOCK = /^[ \t]*-----(?:BEGIN|END)\b/m;
const BEGIN = "-----BEGIN CERTIFICATE-----";

/** The certificates in their order; `undefined` when there is none, one is broken, or the text ends inside a block. */
export function decodePemCertificates(
  bytes: Uint8Array,
  { maxBytes, maxCertificates }: { readonly maxBytes: number; readonly maxCertificates: number },
): readonly [X509Certificate, ...X509Certificate[]] | undefined {
  if (bytes.length > maxBytes) {
    return undefined;
  }
  const text = new TextDecoder("latin1").decode(bytes);
  const rest = text.replaceAll(BLOCK, "\n");
  const blocks = [...text.matchAll(BLOCK)].filter(([, label]) => label === "CERTIFICATE");
  if (HALF_BLOCK.test(rest) || endsInsideBegin(rest) || blocks.length > maxCertificates) {
    return undefined;
  }
  if (!blocks.every(([, , body = ""]) => BASE64_BODY.test(body))) {
    return undefined;
  }
  try {
    const [first, ...others] = blocks.map(([block]) => new X509Certificate(block));
    return first === undefined ? undefined : [first, ...others];
  } catch {
    return undefined;
  }
}

/** A file may be cut off in the middle of the first line of its next block. */
function endsInsideBegin(text: string): boolean {
  const lastLine = text.slice(text.lastIndexOf("\n") + 1).trim();
  return lastLine !== "" && BEGIN.startsWith(lastLine);
}
