/** @module What Status, Encrypt and Decrypt mean, in the order of the wire contract's checks. */
import type { ServiceImpl } from "@connectrpc/connect";
import type { Clock } from "../base/clock.ts";
import { type ErrorClass, errorClassOf } from "../base/error-class.ts";
import type { AnnotationCodec } from "../key/identity/annotations.ts";
import { isWellFormedKeyId } from "../key/identity/key-id.ts";
import type { KeyHandle } from "../key/rotation/key-handles.ts";
import type { KeyState } from "../key/rotation/key-state.ts";
import type { KeyStatus } from "../key/rotation/key-status.ts";
import { ciphertextVersion, MAX_CIPHERTEXT_BYTES } from "../openbao/transit/ciphertext.ts";
import type { CoalescedCalls } from "../openbao/transit/coalesced-calls.ts";
import type { Answered } from "../openbao/transit/key-call.ts";
import { admission, type ConcurrencyCaps } from "./admission.ts";
import { callRunner } from "./call.ts";
import type { CallObserver } from "./call-record.ts";
import { AnnotationError, KmsError } from "./errors.ts";
import type { DecryptRequest, KeyManagementService } from "./gen/v2/api_pb.ts";
import {
  annotationsWellFormed,
  checkDecryptRequest,
  checkEncryptRequest,
  checkEncryptResponse,
  replyOutOfBounds,
} from "./limits.ts";

/** What the service asks of the key's state. */
export type ServingKey = Pick<KeyState, "status" | "keyForEncrypt" | "confirmEncrypted" | "keyForDecrypt">;

export interface KmsServiceOptions {
  readonly keys: ServingKey;
  readonly transit: CoalescedCalls;
  readonly caps: ConcurrencyCaps;
  readonly clock: Clock;
  readonly observer: CallObserver;
}

/** May not change during the life of a kube-apiserver process. */
const API_VERSION = "v2";

const ciphertextEncoder = new TextEncoder();

/** The implementation that Connect's router takes. Throws for wrong options; no call checks them again. */
export function kmsService(options: KmsServiceOptions): ServiceImpl<typeof KeyManagementService> {
  const { keys, transit } = options;
  const run = callRunner({
    admission: admission(options.caps),
    clock: options.clock,
    observer: options.observer,
  });
  /** Annotations are made once per key version, so their shape is looked at once. */
  const wellFormed = new WeakSet<AnnotationCodec>();

  function checkOwnAnnotations(key: KeyHandle): void {
    if (!wellFormed.has(key.annotations)) {
      if (!annotationsWellFormed(key.annotations.encoded)) {
        throw replyOutOfBounds("the annotations of the active key version are not what KMS v2 allows");
      }
      wellFormed.add(key.annotations);
    }
  }

  return {
    status: (_request, context) =>
      run("Status", "", context, (call) => {
        // From memory, so that its turn is over before the next call can ask for one.
        void call.turn();
        const status = keys.status();
        if (status.kind === "known") {
          return { version: API_VERSION, healthz: status.healthz, keyId: status.keyId };
        }
        throw new KmsError({ ...NOT_SERVING[status.kind], errorClass: status.errorClass });
      }),

    encrypt: (request, context) =>
      run("Encrypt", request.uid, context, async (call) => {
        await call.turn();
        // One handle for the whole call: key_id, annotations and associated data are of one version.
        const key = keys.keyForEncrypt();
        call.key = key;
        checkEncryptRequest(request, key.version);
        checkOwnAnnotations(key);
        const { plaintext } = request;
        const { associatedData } = key;
        const input = { plaintext, associatedData, keyVersion: key.version };
        const answer = await transit.encrypt(input, context.signal);
        call.answer = answer;
        const text = answer.value;
        if (ciphertextVersion(text) !== key.version) {
          throw replyOutOfBounds(
            "OpenBao's ciphertext is not canonical or not of the version that was asked for",
          );
        }
        const reply = {
          ciphertext: ciphertextEncoder.encode(text),
          keyId: key.keyId,
          annotations: key.annotations.encoded,
        };
        checkEncryptResponse(reply);
        await keys.confirmEncrypted(key, { plaintext, ciphertext: text }, context.signal);
        return reply;
      }),

    decrypt: (request, context) =>
      run("Decrypt", request.uid, context, async (call) => {
        checkDecryptRequest(request);
        if (!isWellFormedKeyId(request.keyId)) {
          throw new KmsError({
            code: "key_id_malformed",
            errorClass: "key_id_malformed",
            message: "the key_id of a Decrypt is not one that this provider makes",
          });
        }
        call.keyId = request.keyId;
        const text = latin1(request.ciphertext);
        await call.turn(`${request.keyId}\n${text}`);
        const key = await keys.keyForDecrypt(request.keyId, context.signal);
        call.key = key;
        checkAnnotations(request, key);
        checkCiphertext(text, key);
        const input = { ciphertext: text, associatedData: key.associatedData };
        let answer: Answered<Uint8Array>;
        try {
          answer = await transit.decrypt(input, context.signal);
        } catch (error) {
          throw withoutBlame(error, keys.status());
        }
        call.answer = answer;
        const plaintext = answer.value;
        if (plaintext.length > MAX_CIPHERTEXT_BYTES) {
          throw replyOutOfBounds("OpenBao's plaintext is longer than its ciphertext");
        }
        return { plaintext };
      }),
  };
}

/** Then Status is an error, so that kube-apiserver stops writing what it could not read again, or should not write. */
const NOT_SERVING = {
  lost: {
    code: "active_version_lost",
    message: "the active version of the key is proven lost; nothing is encrypted under it",
  },
  outage: { code: "openbao_outage", message: "OpenBao is unavailable, and status.outage is fail" },
  none: { code: "no_key_version", message: "no version of the key is known yet" },
} as const;

/** The classes of a ciphertext that OpenBao refuses. */
const REFUSALS: ReadonlySet<ErrorClass> = new Set(["aad_mismatch", "protocol_limit"]);

/** While the key is not what it was, OpenBao's refusal proves nothing about the ciphertext: it must not look damaged. */
function withoutBlame(error: unknown, status: KeyStatus): unknown {
  return status.kind === "lost" && REFUSALS.has(errorClassOf(error))
    ? new KmsError({
        code: "active_version_lost",
        errorClass: status.errorClass,
        message: "OpenBao refused a ciphertext while the active version of the key is proven lost",
        cause: error,
      })
    : error;
}

function checkAnnotations(request: DecryptRequest, key: KeyHandle): void {
  const problem = key.annotations.check(request.annotations);
  if (problem !== undefined) {
    throw new AnnotationError(annotationsWellFormed(request.annotations) ? problem : "malformed");
  }
}

/** latin1 keeps every byte apart, so that no two byte strings become the same text. */
function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}

function checkCiphertext(text: string, key: KeyHandle): void {
  const version = ciphertextVersion(text);
  if (version === undefined) {
    throw new KmsError({
      code: "ciphertext_not_canonical",
      errorClass: "protocol_limit",
      message: "the ciphertext of a Decrypt is not in Transit's canonical form",
    });
  }
  if (version !== key.version) {
    throw new KmsError({
      code: "ciphertext_version_differs",
      errorClass: "aad_mismatch",
      message: "the ciphertext of a Decrypt belongs to another key version than its key_id",
    });
  }
}
