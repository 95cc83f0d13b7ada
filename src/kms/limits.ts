/** @module The sizes and shapes of KMS v2, as kube-apiserver enforces them on replies (k8s.io/apiserver, envelope/kmsv2). */
import { isUtf8 } from "node:buffer";
import { ciphertextBytes, MAX_CIPHERTEXT_BYTES } from "../openbao/transit/ciphertext.ts";
import { AnnotationError, type KmsCode, KmsError } from "./errors.ts";
import type { DecryptRequest, EncryptRequest, EncryptResponse } from "./gen/v2/api_pb.ts";

/** One gRPC message in either direction, in bytes. */
export const MAX_MESSAGE_BYTES = 65_536;
/** kube-apiserver waits 3 s by default; no call takes longer than this, whatever its deadline. */
export const MAX_CALL_MS = 60_000;
export const MAX_KEY_ID_BYTES = 1024;
/** Keys plus values of all annotations of one message. */
export const MAX_ANNOTATIONS_BYTES = 32_768;
/** Annotations of one message; we make eight. Bounds what a call holds in memory while it waits for its turn. */
const MAX_ANNOTATIONS = 64;
const MAX_ANNOTATION_KEY_CHARS = 253;

const LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
/** A lowercase RFC 1123 domain name of at least two labels. */
const ANNOTATION_KEY = new RegExp(`^${LABEL}(?:\\.${LABEL})+$`);

/** @throws KmsError of class `protocol_limit`. */
export function checkEncryptRequest(request: EncryptRequest, keyVersion: number): void {
  if (request.plaintext.length === 0) {
    throw outside("plaintext_empty", "Encrypt was called without a plaintext");
  }
  if (ciphertextBytes(request.plaintext.length, keyVersion) > MAX_CIPHERTEXT_BYTES) {
    throw outside("plaintext_too_large", "the ciphertext of this plaintext would exceed 1024 bytes");
  }
}

/** Sizes only. @throws KmsError of class `protocol_limit`, or `annotation_invalid` for too many annotations. */
export function checkDecryptRequest(request: DecryptRequest): void {
  if (request.ciphertext.length === 0 || request.ciphertext.length > MAX_CIPHERTEXT_BYTES) {
    throw outside("ciphertext_size", "the ciphertext of a Decrypt must have 1 to 1024 bytes");
  }
  if (request.keyId.length === 0 || Buffer.byteLength(request.keyId) > MAX_KEY_ID_BYTES) {
    throw outside("key_id_size", "the key_id of a Decrypt must have 1 to 1024 bytes");
  }
  if (annotationBytes(request.annotations) > MAX_ANNOTATIONS_BYTES) {
    throw outside("annotations_too_large", "the annotations of a Decrypt exceed 32768 bytes");
  }
  if (Object.keys(request.annotations).length > MAX_ANNOTATIONS) {
    throw new AnnotationError("unexpected");
  }
}

/** @throws KmsError `reply_out_of_bounds`: a reply that kube-apiserver would refuse never leaves. */
export function checkEncryptResponse(
  response: Pick<EncryptResponse, "ciphertext" | "keyId" | "annotations">,
): void {
  const sound =
    inRange(response.ciphertext.length, MAX_CIPHERTEXT_BYTES) &&
    inRange(Buffer.byteLength(response.keyId), MAX_KEY_ID_BYTES) &&
    annotationBytes(response.annotations) <= MAX_ANNOTATIONS_BYTES;
  if (!sound) {
    throw replyOutOfBounds("the reply of an Encrypt is outside the limits of KMS v2");
  }
}

/** Whether every key and value has the shape that kube-apiserver asks for; sizes are not looked at. */
export function annotationsWellFormed(annotations: Readonly<Record<string, Uint8Array>>): boolean {
  return Object.entries(annotations).every(
    ([key, value]) => key.length <= MAX_ANNOTATION_KEY_CHARS && ANNOTATION_KEY.test(key) && isUtf8(value),
  );
}

export function replyOutOfBounds(message: string): KmsError {
  return new KmsError({ code: "reply_out_of_bounds", errorClass: "protocol_limit", message });
}

function annotationBytes(annotations: Readonly<Record<string, Uint8Array>>): number {
  let total = 0;
  for (const key in annotations) {
    total += Buffer.byteLength(key) + (annotations[key]?.length ?? 0);
  }
  return total;
}

function inRange(length: number, max: number): boolean {
  return length >= 1 && length <= max;
}

function outside(code: KmsCode, message: string): KmsError {
  return new KmsError({ code, errorClass: "protocol_limit", message });
}
