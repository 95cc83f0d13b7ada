/** @module A stream or an open file as a whole, up to a bound. */
import type { FileHandle } from "node:fs/promises";

/** All of it, or `undefined` as soon as it exceeds `maxBytes`; the rest is then not read. Throws what the stream throws. */
export async function readBounded(
  stream: AsyncIterable<Uint8Array>,
  maxBytes: number,
): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream) {
    length += chunk.length;
    if (length > maxBytes) {
      return undefined;
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

/** All bytes of an open file, or `maxBytes` plus one when it has more, in one buffer, so that a secret can be wiped. */
export async function readFileBounded(handle: FileHandle, maxBytes: number): Promise<Uint8Array> {
  const buffer = new Uint8Array(maxBytes + 1);
  let length = 0;
  while (length <= maxBytes) {
    const { bytesRead } = await handle.read(buffer, length, buffer.length - length, length);
    if (bytesRead === 0) {
      break;
    }
    length += bytesRead;
  }
  return buffer.subarray(0, length);
}
