/**
 * Random bytes: mutated HTTP/2 connections and mutated messages of every method.
 *
 * The everyday budget is small; FUZZ_RUNS raises it (each run is one input). fast-check prints the seed of a failure.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { DecryptRequestSchema, EncryptRequestSchema } from "../../src/kms/gen/v2/api_pb.ts";
import { SERVICE } from "../harness/kms-client.ts";
import { failure, type Harness, type KmsClient, keyHandle, kmsClient, startHarness } from "./harness.ts";
import {
  FLAG,
  FRAME,
  frame,
  PREFACE,
  rawConnection,
  request,
  requestHeaders,
  settings,
} from "./raw-http2.ts";

const RUNS = Number(process.env.FUZZ_RUNS ?? 300);
const TIMEOUT_MS = 20_000 + RUNS * 20;

let harness: Harness;
let client: KmsClient;

beforeAll(async () => {
  harness = await startHarness({
    limits: { handshakeTimeoutMs: 500, firstCallTimeoutMs: 500, requestTimeoutMs: 500 },
  });
  client = kmsClient(harness.path);
});

afterAll(async () => {
  client.close();
  await harness.stop();
});

/** A session that is right, to be spoiled at some places. */
const session = Buffer.concat([
  PREFACE,
  settings([4, 65_535]),
  request(1, `${SERVICE}Status`),
  frame(FRAME.ping, 0, 0, Buffer.alloc(8)),
  requestHeaders(3, FLAG.endHeaders, `${SERVICE}Encrypt`, [["grpc-timeout", "1S"]]),
  frame(FRAME.data, FLAG.endStream, 3, Buffer.from([0, 0, 0, 0, 3, 0x0a, 1, 65])),
  frame(FRAME.windowUpdate, 0, 0, Buffer.from([0, 0, 1, 0])),
  frame(FRAME.rstStream, 0, 3, Buffer.from([0, 0, 0, 8])),
  frame(FRAME.goaway, 0, 0, Buffer.alloc(8)),
]);

const spoiled = (bytes: Uint8Array) =>
  fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }).map((changes) => {
    const copy = Buffer.from(bytes);
    for (const [at, byte] of changes) {
      copy[at] = byte;
    }
    return copy;
  });

const rawFrame = fc
  .tuple(
    fc.nat(10),
    fc.nat(255),
    fc.constantFrom(0, 1, 2, 3, 5, 2 ** 31 - 1),
    fc.uint8Array({ maxLength: 200 }),
  )
  .map(([type, flags, streamId, payload]) => frame(type, flags, streamId, payload));

const connectionBytes = fc.oneof(
  fc.uint8Array({ maxLength: 500 }).map((bytes) => Buffer.from(bytes)),
  spoiled(session),
  fc.array(rawFrame, { maxLength: 12 }).map((frames) => Buffer.concat([PREFACE, settings(), ...frames])),
  fc.nat(session.length).map((length) => session.subarray(0, length)),
);

test(
  "no connection disturbs the next",
  async () => {
    await fc.assert(
      fc.asyncProperty(connectionBytes, async (bytes) => {
        const peer = await rawConnection(harness.path);
        peer.send(bytes);
        await Bun.sleep(0);
        peer.destroy();
        expect((await client.status()).healthz).toBe("ok");
      }),
      { numRuns: RUNS },
    );
    await Bun.sleep(50);
    expect([harness.listener.sessions, harness.listener.calls]).toEqual([1, 0]);
  },
  TIMEOUT_MS,
);

const key = keyHandle(2);
const decrypt = toBinary(
  DecryptRequestSchema,
  create(DecryptRequestSchema, {
    ciphertext: Buffer.from(`vault:v2:${Buffer.alloc(60, 3).toString("base64")}`),
    keyId: key.keyId,
    annotations: { ...key.annotations.encoded },
    uid: "uid",
  }),
);
const encrypt = toBinary(
  EncryptRequestSchema,
  create(EncryptRequestSchema, { plaintext: Buffer.alloc(32, 1), uid: "uid" }),
);

/** INVALID_ARGUMENT, NOT_FOUND. */
const REFUSALS = new Set([3, 5]);

test(
  "a spoiled Decrypt is answered, refused with a constant text, and never opens anything else",
  async () => {
    const asked: string[] = [];
    harness.transit.override.decrypt = async ({ ciphertext, associatedData }) => {
      asked.push(associatedData);
      expect(ciphertext).toStartWith("vault:v2:");
      return Buffer.alloc(32);
    };
    await fc.assert(
      fc.asyncProperty(fc.oneof(spoiled(decrypt), fc.uint8Array({ maxLength: 300 })), async (bytes) => {
        asked.length = 0;
        try {
          await client.raw(`${SERVICE}Decrypt`, bytes);
          // Only a changed uid, plugin version or ciphertext body can get here; all else is bound to the version.
          expect(asked).toEqual([key.associatedData]);
        } catch (error) {
          const [code, text] = await failure(Promise.reject(error));
          expect(REFUSALS.has(code)).toBe(true);
          expect(text).toMatch(/^[A-Za-z0-9 _-]+$/);
          expect(asked).toEqual([]);
        }
      }),
      { numRuns: RUNS },
    );
    expect(harness.records.every((record) => record.failure?.unexpected !== true)).toBe(true);
  },
  TIMEOUT_MS,
);

test(
  "a spoiled Encrypt is answered",
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(spoiled(encrypt), fc.uint8Array({ maxLength: 300 })), async (bytes) => {
        try {
          await client.raw(`${SERVICE}Encrypt`, bytes);
        } catch (error) {
          const [code] = await failure(Promise.reject(error));
          expect(REFUSALS.has(code)).toBe(true);
        }
      }),
      { numRuns: RUNS },
    );
  },
  TIMEOUT_MS,
);
