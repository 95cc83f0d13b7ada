/** @module Reads the body of an answer up to a bound. */

/** The whole body, or `undefined` as soon as it is known to exceed `maxBytes`; the rest is then not read. */
export function readBody(response: Response, maxBytes: number): Promise<Uint8Array | undefined> {
  const announced = response.headers.get("content-length");
  // RFC 9112 section 6.3: a body with a length and no transfer coding is never longer than that length.
  return announced !== null && Number(announced) <= maxBytes && !response.headers.has("transfer-encoding")
    ? response.bytes()
    : readStream(response, announced, maxBytes);
}

async function readStream(
  response: Response,
  announced: string | null,
  maxBytes: number,
): Promise<Uint8Array | undefined> {
  if (Number(announced) > maxBytes) {
    await response.body?.cancel();
    return undefined;
  }
  // Asked for only here: it makes a stream.
  const { body } = response;
  if (body === null) {
    return new Uint8Array(0);
  }
  const reader = body.getReader();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) {
      return Buffer.concat(chunks, length);
    }
    length += value.length;
    if (length > maxBytes) {
      await reader.cancel();
      return undefined;
    }
    chunks.push(value);
  }
}
