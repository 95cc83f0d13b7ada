/**
 * The API server's side of the KMS v2 socket, with a gRPC implementation that is not ours.
 *
 * @module @grpc/grpc-js over the generated messages, with the deadline that kube-apiserver uses by default.
 */
import {
  create,
  type DescMessage,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import { type ChannelOptions, Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { type DecryptRequest, KeyManagementService } from "../../src/kms/gen/v2/api_pb.ts";

export interface CallOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  readonly metadata?: Metadata;
}

export type KmsClient = ReturnType<typeof openKmsClient>;

export const SERVICE = `/${KeyManagementService.typeName}/`;
const { status: statusMethod, encrypt, decrypt } = KeyManagementService.method;

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

/** Unary calls with bytes and with messages; `defaults` are of each call. */
export function unaryClient(socketPath: string, channel: ChannelOptions, defaults: CallOptions) {
  const client = new Client(`unix:${socketPath}`, credentials.createInsecure(), {
    "grpc.default_authority": "localhost",
    "grpc.use_local_subchannel_pool": 1,
    ...channel,
  });
  const raw = (path: string, message: Uint8Array, options: CallOptions = {}): Promise<Uint8Array> =>
    new Promise((resolve, reject) => {
      const { timeoutMs = 0, signal, metadata = new Metadata() } = { ...defaults, ...options };
      const call = client.makeUnaryRequest(
        path,
        (value: Uint8Array) => Buffer.from(value),
        (value: Buffer) => new Uint8Array(value),
        message,
        metadata,
        { deadline: Date.now() + timeoutMs },
        (error, value) => (error === null && value !== undefined ? resolve(value) : reject(error)),
      );
      signal?.addEventListener("abort", () => call.cancel(), { once: true });
    });
  return {
    raw,
    call: async <I extends DescMessage, O extends DescMessage>(
      { name, input, output }: DescMethodUnary<I, O>,
      message: MessageInitShape<I>,
      options?: CallOptions,
    ) => fromBinary(output, await raw(SERVICE + name, toBinary(input, create(input, message)), options)),
    close: () => client.close(),
  };
}

export function openKmsClient(socketPath: string) {
  const { raw, call, close } = unaryClient(
    socketPath,
    { "grpc.initial_reconnect_backoff_ms": 50, "grpc.max_reconnect_backoff_ms": 500 },
    { timeoutMs: 3000, metadata: new Metadata({ waitForReady: true }) },
  );
  const uid = (): string => crypto.randomUUID();
  return {
    /** A call with bytes of the caller's choice as its message. */
    raw: (method: string, message: Uint8Array, options?: CallOptions) =>
      raw(SERVICE + method, message, options),
    status: (options?: CallOptions) => call(statusMethod, {}, options),
    encrypt: (plaintext: Uint8Array, options?: CallOptions) =>
      call(encrypt, { plaintext, uid: uid() }, options),
    decrypt: (
      { ciphertext, keyId, annotations }: Pick<DecryptRequest, "ciphertext" | "keyId" | "annotations">,
      options?: CallOptions,
    ) => call(decrypt, { uid: uid(), ciphertext, keyId, annotations }, options),
    close,
  };
}
