/**
 * @module Which provider wrote a stored value, and with which key, by the marker at its start. Nothing is decrypted.
 * @see https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/
 */
import { PROVIDER_NAME } from "../../key/identity/annotations.ts";
import { isWellFormedKeyId } from "../../key/identity/key-id.ts";
import { hashText } from "../../key/identity/key-scope.ts";
import { decodeEncryptedObject } from "./encrypted-object.ts";

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

const ENCRYPTED_MARK = Buffer.from("k8s:enc:");
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
  if (!startsWithMark(value)) {
    return { kind: "plaintext" };
  }
  const head = Buffer.from(value.buffer, value.byteOffset, Math.min(value.length, MAX_MARKER_BYTES));
  const match = MARKER.exec(head.toString("latin1"));
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

function startsWithMark(value: Uint8Array): boolean {
  return (
    value.length >= ENCRYPTED_MARK.length &&
    Buffer.compare(value.subarray(0, ENCRYPTED_MARK.length), ENCRYPTED_MARK) === 0
  );
}
