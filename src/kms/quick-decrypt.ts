/** @module A Decrypt's messages, in one pass: a tenth of its CPU without the JIT. Others go to the generic codec. */
import { isAscii } from "node:buffer";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type DecryptRequest,
  DecryptRequestSchema,
  type DecryptResponseSchema,
  KeyManagementService,
} from "./gen/v2/api_pb.ts";

/** Tags of length-delimited fields: number and wire type. */
const TAG = { ciphertext: 0x0a, uid: 0x12, keyId: 0x1a, annotation: 0x22 } as const;
const ENTRY_TAG = { key: 0x0a, value: 0x12 } as const;

/** The message, as the generic decoder gives it; `undefined` when it is none of those that can be read here. */
export function quickDecryptRequest(bytes: Uint8Array): DecryptRequest | undefined {
  // Then every length is one byte, and every text is UTF-8 as it is.
  if (!isAscii(bytes)) {
    return undefined;
  }
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
  const message = create(DecryptRequestSchema);
  const { annotations } = message;
  let pos = 0;
  while (pos < bytes.length) {
    const start = pos + 2;
    const end = start + (bytes[pos + 1] ?? Number.NaN);
    if (!(end <= bytes.length)) {
      return undefined;
    }
    switch (bytes[pos]) {
      case TAG.ciphertext:
        message.ciphertext = bytes.subarray(start, end);
        break;
      case TAG.uid:
        message.uid = text.slice(start, end);
        break;
      case TAG.keyId:
        message.keyId = text.slice(start, end);
        break;
      case TAG.annotation: {
        const keyEnd = start + 2 + (bytes[start + 1] ?? Number.NaN);
        const valueEnd = keyEnd + 2 + (bytes[keyEnd + 1] ?? Number.NaN);
        const isEntry =
          valueEnd === end && bytes[start] === ENTRY_TAG.key && bytes[keyEnd] === ENTRY_TAG.value;
        const key = text.slice(start + 2, keyEnd);
        if (!isEntry || key === "__proto__") {
          return undefined;
        }
        annotations[key] = bytes.subarray(keyEnd + 2, valueEnd);
        break;
      }
      default:
        return undefined;
    }
    pos = end;
  }
  return message;
}

const PLAINTEXT_TAG = 0x0a;
const MAX_ONE_BYTE_LENGTH = 127;

/** The bytes of a DecryptResponse with this plaintext; `undefined` when its length takes none or several bytes. */
export function quickDecryptResponse({
  plaintext,
}: MessageInitShape<typeof DecryptResponseSchema>): Uint8Array | undefined {
  if (plaintext === undefined || plaintext.length === 0 || plaintext.length > MAX_ONE_BYTE_LENGTH) {
    return undefined;
  }
  const bytes = new Uint8Array(2 + plaintext.length);
  bytes[0] = PLAINTEXT_TAG;
  bytes[1] = plaintext.length;
  bytes.set(plaintext, 2);
  return bytes;
}

/** Decrypt is the only method that is called often enough. */
export const QUICK_CODECS = new Map([
  [KeyManagementService.method.decrypt, { read: quickDecryptRequest, write: quickDecryptResponse }],
]);
