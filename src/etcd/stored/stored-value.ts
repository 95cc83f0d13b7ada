/**
 * @module Which provider wrote a stored value, and with which key, by the marker at its start. Nothing is decrypted.
 * @see https://github.com/kubernetes/apiserver/blob/master/pkg/storage/value/encrypt/envelope/kmstypes/v2/api.proto
 */
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { PROVIDER_NAME } from "../../key/identity/annotations.ts";
import { isWellFormedKeyId } from "../../key/identity/key-id.ts";
import { hashText } from "../../key/identity/key-scope.ts";
import { MAX_ANNOTATIONS_BYTES, MAX_KEY_ID_BYTES } from "../../kms/limits.ts";
import { MAX_CIPHERTEXT_BYTES } from "../../openbao/transit/ciphertext.ts";

export type StoredValue =
  /** Written by the `identity` provider or by none: readable by anyone who can read etcd. */
  | { readonly kind: "plaintext" }
  /** A key of the EncryptionConfiguration itself. */
  | { readonly kind: "local_key"; readonly transformer: LocalTransformer; readonly keyName: string }
  | { readonly kind: "kms_v1"; readonly provider: string }
  /** A KMS v2 provider that is not this one. */
  | { readonly kind: "kms_v2_other"; readonly provider: string; readonly keyId: string }
  | {
      readonly kind: "ours";
      readonly provider: string;
      readonly keyId: string;
      readonly statedVersion: string;
    }
  /** Marked as KMS v2, but no envelope that kube-apiserver could have written, or one of ours that contradicts itself. */
  | { readonly kind: "damaged"; readonly provider: string }
  /** Marked as encrypted by something that no known kube-apiserver writes. */
  | { readonly kind: "unknown" };

export const LOCAL_TRANSFORMERS = ["aescbc", "aesgcm", "secretbox"] as const;
type LocalTransformer = (typeof LOCAL_TRANSFORMERS)[number];

const ENCRYPTED_MARK = "k8s:enc:";
const PROVIDER_ANNOTATION = "provider.kms.openbao.org";
const KEY_ID_HASH_ANNOTATION = "key-id-hash.kms.openbao.org";
const VERSION_ANNOTATION = "transit-key-version.kms.openbao.org";
const DECIMAL_VERSION = /^[1-9][0-9]{0,9}$/;
/** Far above any name that an EncryptionConfiguration can hold; a marker without an end is not searched further. */
const MAX_MARKER_BYTES = 1024;

const MARKER = /^k8s:enc:(?:(aescbc|aesgcm|secretbox):v1|kms:(v1|v2)):([^:]+):/;

/** Never throws: what is not understood is a kind of its own. `onSeed` gets the encrypted seed of a value of ours, as a view. */
export function classifyStoredValue(
  value: Uint8Array,
  onSeed: (seed: Uint8Array) => void = () => {},
): StoredValue {
  if (latin1(value, ENCRYPTED_MARK.length) !== ENCRYPTED_MARK) {
    return { kind: "plaintext" };
  }
  const match = MARKER.exec(latin1(value, MAX_MARKER_BYTES));
  if (match === null) {
    return { kind: "unknown" };
  }
  const [marker, localTransformer, kmsVersion, rawName = ""] = match;
  const name = Buffer.from(rawName, "latin1").toString("utf8");
  const transformer = LOCAL_TRANSFORMERS.find((each) => each === localTransformer);
  if (transformer !== undefined) {
    return { kind: "local_key", transformer, keyName: name };
  }
  return kmsVersion === "v1"
    ? { kind: "kms_v1", provider: name }
    : classifyEnvelope(name, value.subarray(marker.length), onSeed);
}

function classifyEnvelope(
  provider: string,
  bytes: Uint8Array,
  onSeed: (seed: Uint8Array) => void,
): StoredValue {
  const envelope = decodeEncryptedObject(bytes);
  if (envelope === undefined) {
    return { kind: "damaged", provider };
  }
  const { keyId, dekSource, annotations } = envelope;
  const claimsToBeOurs = annotations.get(PROVIDER_ANNOTATION) === PROVIDER_NAME;
  if (!claimsToBeOurs && !isWellFormedKeyId(keyId)) {
    return { kind: "kms_v2_other", provider, keyId };
  }
  const statedVersion = annotations.get(VERSION_ANNOTATION) ?? "";
  const agrees =
    claimsToBeOurs &&
    isWellFormedKeyId(keyId) &&
    annotations.get(KEY_ID_HASH_ANNOTATION) === hashText(keyId) &&
    DECIMAL_VERSION.test(statedVersion);
  if (!agrees) {
    return { kind: "damaged", provider };
  }
  onSeed(dekSource);
  return { kind: "ours", provider, keyId, statedVersion };
}

/** kube-apiserver's envelope, protobuf `v2.EncryptedObject`, without the ciphertext. */
interface EncryptedObject {
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
    const reader = new BinaryReader(bytes);
    const annotations = new Map<string, string>();
    let annotationBytes = 0;
    let keyId = "";
    let dekSource: Uint8Array = new Uint8Array();
    const seen = new Set<number>();
    while (reader.pos < reader.len) {
      const [field, wireType] = reader.tag();
      const expected = field === ENCRYPTED_DEK_SOURCE_TYPE ? WireType.Varint : WireType.LengthDelimited;
      refuseIf(wireType !== expected || (field !== ANNOTATIONS && seen.has(field)));
      seen.add(field);
      switch (field) {
        case ENCRYPTED_DATA:
          refuseIf(reader.bytes().length === 0);
          break;
        case KEY_ID:
          keyId = strictUtf8.decode(boundedBytes(reader, MAX_KEY_ID_BYTES));
          break;
        case ENCRYPTED_DEK_SOURCE:
          dekSource = boundedBytes(reader, MAX_CIPHERTEXT_BYTES);
          break;
        case ANNOTATIONS: {
          const entry = reader.bytes();
          annotationBytes += entry.length;
          const { key, value } = decodeAnnotation(entry);
          refuseIf(annotationBytes > MAX_ANNOTATIONS_BYTES || annotations.has(key));
          annotations.set(key, value);
          break;
        }
        case ENCRYPTED_DEK_SOURCE_TYPE:
          refuseIf(reader.uint32() > HIGHEST_DEK_SOURCE_TYPE);
          break;
        default:
          throw new RangeError("unknown field");
      }
    }
    refuseIf(![ENCRYPTED_DATA, KEY_ID, ENCRYPTED_DEK_SOURCE].every((field) => seen.has(field)));
    return { keyId, dekSource, annotations };
  } catch {
    // Ours, or the reader's: a varint too long, a length beyond the bytes, text that is not UTF-8.
    return undefined;
  }
}

/** One entry of `map<string, bytes>`: a message with key = 1 and value = 2, either left out when empty. */
function decodeAnnotation(bytes: Uint8Array): { readonly key: string; readonly value: string } {
  const reader = new BinaryReader(bytes);
  const parts = ["", "", ""];
  let last = 0;
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    refuseIf(wireType !== WireType.LengthDelimited || field <= last || field > 2);
    last = field;
    parts[field] = latin1(reader.bytes());
  }
  const [, key = "", value = ""] = parts;
  refuseIf(key === "");
  return { key, value };
}

function boundedBytes(reader: BinaryReader, maxBytes: number): Uint8Array {
  const content = reader.bytes();
  refuseIf(content.length === 0 || content.length > maxBytes);
  return content;
}

function refuseIf(isWrong: boolean): void {
  if (isWrong) {
    throw new RangeError("not what kube-apiserver writes");
  }
}

/** The first bytes, one character each. */
function latin1({ buffer, byteOffset, length }: Uint8Array, maxBytes = length): string {
  return Buffer.from(buffer, byteOffset, Math.min(length, maxBytes)).toString("latin1");
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
