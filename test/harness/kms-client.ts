/**
 * @module The API server's side of the KMS v2 socket, with a gRPC implementation that is not ours. @grpc/grpc-js over the
 * generated messages, with the deadline that kube-apiserver uses by default.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { GenMessage } from "@bufbuild/protobuf/codegenv2";
import { Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import {
  type DecryptRequest,
  DecryptRequestSchema,
  type DecryptResponse,
  DecryptResponseSchema,
  EncryptRequestSchema,
  type EncryptResponse,
  EncryptResponseSchema,
  StatusRequestSchema,
  type StatusResponse,
  StatusResponseSchema,
} from "../../src/kms/gen/v2/api_pb.ts";

const DEFAULT_TIMEOUT_MS = 3000;

interface CallOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface KmsClient {
  readonly status: (options?: CallOptions) => Promise<StatusResponse>;
  readonly encrypt: (plaintext: Uint8Array, options?: CallOptions) => Promise<EncryptResponse>;
  readonly decrypt: (
    request: Pick<DecryptRequest, "ciphertext" | "keyId" | "annotations">,
    options?: CallOptions,
  ) => Promise<DecryptResponse>;
  /** A call with bytes of the caller's choice as its message. */
  readonly raw: (method: string, message: Uint8Array, options?: CallOptions) => Promise<Uint8Array>;
  readonly close: () => void;
}

/** Name of the gRPC code that a call ended with, `OK` when it succeeded, `none` for what is no gRPC error. */
export async function codeOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => "OK",
    (error: unknown) => (isServiceError(error) ? (status[error.code] ?? "none") : "none"),
  );
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && typeof error.code === "number";
}

export function openKmsClient(socketPath: string): KmsClient {
  const client = new Client(`unix:${socketPath}`, credentials.createInsecure(), {
    "grpc.default_authority": "localhost",
    "grpc.initial_reconnect_backoff_ms": 50,
    "grpc.max_reconnect_backoff_ms": 500,
    "grpc.use_local_subchannel_pool": 1,
  });
  const raw: KmsClient["raw"] = (method, message, { timeoutMs = DEFAULT_TIMEOUT_MS, signal } = {}) =>
    new Promise((resolve, reject) => {
      const call = client.makeUnaryRequest(
        `/v2.KeyManagementService/${method}`,
        (value: Uint8Array) => Buffer.from(value),
        (value: Buffer) => new Uint8Array(value),
        message,
        new Metadata({ waitForReady: true }),
        { deadline: Date.now() + timeoutMs },
        (error, value) => (error === null && value !== undefined ? resolve(value) : reject(error)),
      );
      signal?.addEventListener("abort", () => call.cancel(), { once: true });
    });
  const uid = (): string => crypto.randomUUID();
  const decode = async <T extends StatusResponse | EncryptResponse | DecryptResponse>(
    schema: GenMessage<T>,
    bytes: Promise<Uint8Array>,
  ): Promise<T> => fromBinary(schema, await bytes);

  return {
    raw,
    status: (options) =>
      decode(
        StatusResponseSchema,
        raw("Status", toBinary(StatusRequestSchema, create(StatusRequestSchema)), options),
      ),
    encrypt: (plaintext, options) =>
      decode(
        EncryptResponseSchema,
        raw(
          "Encrypt",
          toBinary(EncryptRequestSchema, create(EncryptRequestSchema, { plaintext, uid: uid() })),
          options,
        ),
      ),
    decrypt: ({ ciphertext, keyId, annotations }, options) =>
      decode(
        DecryptResponseSchema,
        raw(
          "Decrypt",
          toBinary(
            DecryptRequestSchema,
            create(DecryptRequestSchema, { uid: uid(), ciphertext, keyId, annotations }),
          ),
          options,
        ),
      ),
    close: () => client.close(),
  };
}
