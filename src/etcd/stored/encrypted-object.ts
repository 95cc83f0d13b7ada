/**
 * The envelope in which kube-apiserver stores an object that a KMS v2 provider protects.
 *
 * @module Decodes hostile bytes (protobuf `v2.EncryptedObject`). Only what names the key is taken out; the ciphertext is
 * measured and left where it is.
 * @see https://github.com/kubernetes/apiserver/blob/master/pkg/storage/value/encrypt/envelope/kmstypes/v2/api.proto
 */
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { MAX_CIPHERTEXT_BYTES } from "../../key/identity/ciphertext.ts";
import { MAX_ANNOTATIONS_BYTES, MAX_KEY_ID_BYTES } from "../../kms/limits.ts";

export interface EncryptedObject {
  readonly keyId: string;
  /** The encrypted seed of the object's key: objects with the same one need one Decrypt together. A view into the bytes. */
  readonly dekSource: Uint8Array;
  /** Keys and values as the provider chose them, one character a byte: ours are ASCII throughout. */
  readonly annotations: ReadonlyMap<string, string>;
}

const ENCRYPTED_DATA = 1;
const KEY_ID = 2;
const ENCRYPTED_DEK_SOURCE = 3;
const ANNOTATIONS = 4;
const ENCRYPTED_DEK_SOURCE_TYPE = 5;
/** AES_GCM_KEY and HKDF_SHA256_XNONCE_AES_GCM_SEED. */
const HIGHEST_DEK_SOURCE_TYPE = 1;

/**
 * The envelope, or `undefined` when the bytes are not exactly what kube-apiserver writes: a missing, repeated, unknown,
 * oversized or misplaced field, text that is not UTF-8, or bytes left over.
 */
export function decodeEncryptedObject(bytes: Uint8Array): EncryptedObject | undefined {
  try {
    return decode(bytes);
  } catch {
    // The reader throws on a varint that is too long, a length beyond the bytes, and text that is not UTF-8.
    return undefined;
  }
}

function decode(bytes: Uint8Array): EncryptedObject | undefined {
  const reader = new BinaryReader(bytes);
  const annotations = new Map<string, string>();
  let annotationBytes = 0;
  let keyId = "";
  let dekSource: Uint8Array = new Uint8Array();
  const seen = new Set<number>();
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    const expected = field === ENCRYPTED_DEK_SOURCE_TYPE ? WireType.Varint : WireType.LengthDelimited;
    if (wireType !== expected || (field !== ANNOTATIONS && seen.has(field))) {
      return undefined;
    }
    seen.add(field);
    switch (field) {
      case ENCRYPTED_DATA:
        if (reader.bytes().length === 0) {
          return undefined;
        }
        break;
      case KEY_ID: {
        const text = boundedBytes(reader, MAX_KEY_ID_BYTES);
        if (text === undefined) {
          return undefined;
        }
        keyId = utf8(text);
        break;
      }
      case ENCRYPTED_DEK_SOURCE: {
        const content = boundedBytes(reader, MAX_CIPHERTEXT_BYTES);
        if (content === undefined) {
          return undefined;
        }
        dekSource = content;
        break;
      }
      case ANNOTATIONS: {
        const entry = reader.bytes();
        annotationBytes += entry.length;
        const pair = annotationBytes > MAX_ANNOTATIONS_BYTES ? undefined : decodeAnnotation(entry);
        if (pair === undefined || annotations.has(pair.key)) {
          return undefined;
        }
        annotations.set(pair.key, pair.value);
        break;
      }
      case ENCRYPTED_DEK_SOURCE_TYPE:
        if (reader.uint32() > HIGHEST_DEK_SOURCE_TYPE) {
          return undefined;
        }
        break;
      default:
        return undefined;
    }
  }
  const complete = seen.has(ENCRYPTED_DATA) && seen.has(KEY_ID) && seen.has(ENCRYPTED_DEK_SOURCE);
  return complete ? { keyId, dekSource, annotations } : undefined;
}

/** One entry of `map<string, bytes>`: a message with key = 1 and value = 2, either left out when empty. */
function decodeAnnotation(bytes: Uint8Array): { readonly key: string; readonly value: string } | undefined {
  const reader = new BinaryReader(bytes);
  let key = "";
  let value = "";
  let last = 0;
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (wireType !== WireType.LengthDelimited || field <= last || field > 2) {
      return undefined;
    }
    last = field;
    const text = latin1(reader.bytes());
    if (field === 1) {
      key = text;
    } else {
      value = text;
    }
  }
  return key === "" ? undefined : { key, value };
}

function boundedBytes(reader: BinaryReader, maxBytes: number): Uint8Array | undefined {
  const content = reader.bytes();
  return content.length === 0 || content.length > maxBytes ? undefined : content;
}

function latin1({ buffer, byteOffset, length }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, length).toString("latin1");
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function utf8(bytes: Uint8Array): string {
  return strictUtf8.decode(bytes);
}
