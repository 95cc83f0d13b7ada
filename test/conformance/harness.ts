/**
 * The real listener and the real KMS service over a real socket; only key state and Transit are stand-ins.
 *
 * @module Starts one in a private directory, and a gRPC client that is not Connect (@grpc/grpc-js).
 */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { createConnectRouter } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { type Clock, systemClock } from "../../src/base/clock.ts";
import { ProviderError } from "../../src/base/error-class.ts";
import { annotationCodec } from "../../src/key/identity/annotations.ts";
import { transitAssociatedData } from "../../src/key/identity/associated-data.ts";
import { deriveKeyId } from "../../src/key/identity/key-id.ts";
import { trySqliteLock } from "../../src/key/registry/writer-lock.ts";
import type { KeyHandle } from "../../src/key/rotation/key-handles.ts";
import type { CallRecord, KmsMethod } from "../../src/kms/call-record.ts";
import {
  type DecryptRequestSchema,
  type EncryptRequestSchema,
  KeyManagementService,
} from "../../src/kms/gen/v2/api_pb.ts";
import { MAX_MESSAGE_BYTES } from "../../src/kms/limits.ts";
import { QUICK_CODECS } from "../../src/kms/quick-decrypt.ts";
import { type KmsServiceOptions, kmsService, type ServingKey } from "../../src/kms/service.ts";
import type { CoalescedCalls } from "../../src/openbao/transit/coalesced-calls.ts";
import type { SessionLimits } from "../../src/server/grpc/grpc-sessions.ts";
import { DEFAULT_SESSION_LIMITS, startKmsListener, unaryHandlers } from "../../src/server/kms-listener.ts";
import type { SocketEvent } from "../../src/server/socket/kms-socket.ts";
import { type CallOptions, unaryClient } from "../harness/kms-client.ts";

/** 1024 bytes of ciphertext, less `vault:v2:`, are 253 groups of base64, less 28 bytes of nonce and tag. */
export const LARGEST_PLAINTEXT_BYTES = 253 * 3 - 28;

const scope = {
  providerName: "conformance",
  clusterId: "cluster",
  openbaoInstanceId: "instance",
  openbaoNamespace: "",
  transitMountId: "mount",
  keyLineageId: "lineage",
};

export function keyHandle(version: number, createdAtUnix = 1_700_000_000 + version): KeyHandle {
  const keyVersion = { version, createdAtUnix };
  const keyId = deriveKeyId(scope, keyVersion);
  return {
    ...keyVersion,
    keyId,
    annotations: annotationCodec(scope, keyVersion, keyId, "v0.0.0"),
    associatedData: transitAssociatedData(scope, keyVersion, keyId),
  };
}

/** Key state with versions 1 and 2, of which 2 is active. */
export function fakeKeys(): ServingKey & { override: Partial<ServingKey> } {
  const versions = [keyHandle(1), keyHandle(2)];
  const active = keyHandle(2);
  const fake: ServingKey & { override: Partial<ServingKey> } = {
    override: {},
    status: () => fake.override.status?.() ?? { kind: "known", keyId: active.keyId, healthz: "ok" },
    keyForEncrypt: () => fake.override.keyForEncrypt?.() ?? active,
    confirmEncrypted: async (...sealed) => {
      await fake.override.confirmEncrypted?.(...sealed);
    },
    keyForDecrypt: async (keyId, signal) => {
      const found = versions.find((each) => each.keyId === keyId);
      if (fake.override.keyForDecrypt !== undefined) {
        return await fake.override.keyForDecrypt(keyId, signal);
      }
      if (found === undefined) {
        throw new ProviderError({
          code: "version_unknown",
          errorClass: "key_id_unknown",
          message: "unknown",
        });
      }
      return found;
    },
  };
  return fake;
}

/** What a test puts in the place of the two calls, without what is known of OpenBao's answer. */
export interface TransitOverride {
  encrypt?: (...args: Parameters<CoalescedCalls["encrypt"]>) => Promise<string>;
  decrypt?: (...args: Parameters<CoalescedCalls["decrypt"]>) => Promise<Uint8Array>;
}

/** Transit without cryptography: the "ciphertext" is the plaintext behind 28 bytes, in Transit's canonical form. */
export function fakeTransit(): CoalescedCalls & { override: TransitOverride; calls: number } {
  const fake: CoalescedCalls & { override: TransitOverride; calls: number } = {
    override: {},
    calls: 0,
    encrypt: async (input, signal) => {
      fake.calls += 1;
      const value =
        (await fake.override.encrypt?.(input, signal)) ??
        `vault:v${input.keyVersion}:${Buffer.concat([Buffer.alloc(28), input.plaintext]).toString("base64")}`;
      return { value, requestId: "request-1" };
    },
    decrypt: async (input, signal) => {
      fake.calls += 1;
      const value =
        (await fake.override.decrypt?.(input, signal)) ??
        Buffer.from(input.ciphertext.slice(input.ciphertext.lastIndexOf(":") + 1), "base64").subarray(28);
      return { value, requestId: "request-1" };
    },
  };
  return fake;
}

/** A directory as the provider wants it, of the user that runs the test. */
export function socketDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "kms-"));
  chmodSync(directory, 0o2750);
  return directory;
}

export function ownIdentity(): { readonly ownerUid: number; readonly groupGid: number } {
  return { ownerUid: process.getuid?.() ?? -1, groupGid: process.getgid?.() ?? -1 };
}

export interface HarnessOptions {
  readonly limits?: Partial<SessionLimits>;
  readonly caps?: KmsServiceOptions["caps"];
  readonly clock?: Clock;
  /** Whether Connect's own gRPC handler serves in place of ours; both must hold what the suite says of valid calls. */
  readonly protocol?: "ours" | "connect";
}

export async function startHarness(options: HarnessOptions = {}) {
  const directory = socketDirectory();
  const path = join(directory, "kms.sock");
  const keys = fakeKeys();
  const transit = fakeTransit();
  const records: CallRecord[] = [];
  const started: KmsMethod[] = [];
  const events: SocketEvent[] = [];
  const clock = options.clock ?? systemClock;
  const implementation = kmsService({
    keys,
    transit,
    caps: options.caps ?? { Status: 16, Encrypt: 32, Decrypt: 64 },
    clock,
    observer: { started: (method) => started.push(method), ended: (record) => records.push(record) },
  });
  const listener = await startKmsListener({
    path,
    mode: 0o660,
    ...ownIdentity(),
    ownerName: "provider",
    groupName: "group",
    tryLock: trySqliteLock,
    clock,
    watchIntervalMs: 20,
    onEvent: (event) => events.push(event),
    handlers: options.protocol === "connect" ? connectHandlers(implementation) : ourHandlers(implementation),
    maxMessageBytes: MAX_MESSAGE_BYTES,
    limits: { ...DEFAULT_SESSION_LIMITS, sweepIntervalMs: 20, ...options.limits },
  });
  return {
    directory,
    path,
    keys,
    transit,
    records,
    started,
    events,
    listener,
    stop: async () => {
      await listener.stop(200);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export type Harness = Awaited<ReturnType<typeof startHarness>>;
type Implementation = ReturnType<typeof kmsService>;

function ourHandlers(implementation: Implementation): readonly UniversalHandler[] {
  return unaryHandlers(KeyManagementService, implementation, {
    maxMessageBytes: MAX_MESSAGE_BYTES,
    maxTimeoutMs: 60_000,
    quickCodecs: QUICK_CODECS,
  });
}

function connectHandlers(implementation: Implementation): readonly UniversalHandler[] {
  return createConnectRouter({
    connect: false,
    grpcWeb: false,
    readMaxBytes: MAX_MESSAGE_BYTES,
    writeMaxBytes: MAX_MESSAGE_BYTES,
    maxTimeoutMs: 60_000,
  }).service(KeyManagementService, implementation).handlers;
}

/** A client that shows each failure as it is: no wait for the connection, no retry, no bound on what it sends. */
export function kmsClient(path: string) {
  const { raw, call, close } = unaryClient(
    path,
    { "grpc.max_send_message_length": -1, "grpc.enable_retries": 0 },
    { timeoutMs: 5000 },
  );
  const { status, encrypt, decrypt } = KeyManagementService.method;
  return {
    /** One call with bytes of the test's own making. */
    raw,
    status: (options?: CallOptions) => call(status, {}, options),
    encrypt: (request: MessageInitShape<typeof EncryptRequestSchema>, options?: CallOptions) =>
      call(encrypt, request, options),
    decrypt: (request: MessageInitShape<typeof DecryptRequestSchema>, options?: CallOptions) =>
      call(decrypt, request, options),
    close,
  };
}

export type KmsClient = ReturnType<typeof kmsClient>;

/** Code and text of the error with which a call failed. */
export async function failure(call: Promise<unknown>): Promise<readonly [code: number, text: string]> {
  try {
    await call;
  } catch (error) {
    if (error instanceof Error && "code" in error && "details" in error) {
      return [Number(error.code), String(error.details)];
    }
    throw error;
  }
  throw new Error("the call succeeded");
}
