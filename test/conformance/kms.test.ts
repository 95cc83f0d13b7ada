/** The three methods as a gRPC client that is not Connect meets them. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { status as code, Metadata } from "@grpc/grpc-js";
import { ProviderError } from "../../src/base/error-class.ts";
import { DecryptRequestSchema } from "../../src/kms/gen/v2/api_pb.ts";
import {
  failure,
  type Harness,
  type KmsClient,
  keyHandle,
  kmsClient,
  SERVICE,
  startHarness,
} from "./harness.ts";

const seed = Buffer.alloc(32, 7);
const active = keyHandle(2);
/** 1024 bytes of ciphertext, less `vault:v2:`, are 253 groups of base64, less 28 bytes of nonce and tag. */
const LARGEST_PLAINTEXT_BYTES = 253 * 3 - 28;

describe.each(["ours", "connect"] as const)("calls as they should be, gRPC protocol: %s", (protocol) => {
  let harness: Harness;
  let client: KmsClient;
  beforeEach(async () => {
    harness = await startHarness({ protocol });
    client = kmsClient(harness.path);
  });
  afterEach(async () => {
    client.close();
    await harness.stop();
  });

  test("Status is answered from memory", async () => {
    expect(await client.status()).toMatchObject({ version: "v2", healthz: "ok", keyId: active.keyId });
    expect(harness.transit.calls).toBe(0);
  });

  test("what Encrypt made, Decrypt opens", async () => {
    const sealed = await client.encrypt({ plaintext: seed, uid: "u1" });
    expect(sealed.keyId).toBe(active.keyId);
    expect(Object.keys(sealed.annotations).sort()).toEqual(Object.keys(active.annotations.encoded).sort());
    const { ciphertext, keyId, annotations } = sealed;
    const opened = await client.decrypt({ ciphertext, keyId, annotations, uid: "u2" });
    expect(Buffer.from(opened.plaintext)).toEqual(seed);
    expect(
      harness.records.map(({ method, status, transitKeyVersion, uid }) => [
        method,
        status,
        transitKeyVersion,
        uid,
      ]),
    ).toEqual([
      ["Encrypt", "OK", 2, "u1"],
      ["Decrypt", "OK", 2, "u2"],
    ]);
  });

  test("the largest plaintext goes through, and 64 calls at once", async () => {
    const plaintext = Buffer.alloc(LARGEST_PLAINTEXT_BYTES, 1);
    const sealed = await client.encrypt({ plaintext });
    expect(sealed.ciphertext.length).toBeLessThanOrEqual(1024);
    const opened = await Promise.all(
      Array.from({ length: 64 }, async () => {
        const { ciphertext, keyId, annotations } = sealed;
        return await client.decrypt({ ciphertext, keyId, annotations });
      }),
    );
    expect(opened.every((each) => Buffer.from(each.plaintext).equals(plaintext))).toBe(true);
  });

  test("errors of the service keep code and text", async () => {
    expect(await failure(client.encrypt({}))).toEqual([code.INVALID_ARGUMENT, "plaintext is empty"]);
    harness.keys.override.status = () => ({ kind: "lost", errorClass: "transit_key_missing" });
    expect(await failure(client.status())).toEqual([
      code.FAILED_PRECONDITION,
      "the active key version is lost",
    ]);
  });

  test("Encrypt answers only what was read back", async () => {
    const readBack: string[] = [];
    harness.keys.override.confirmEncrypted = async (key, { plaintext, ciphertext }) => {
      readBack.push(`${key.keyId} ${Buffer.from(plaintext).toString("hex")} ${ciphertext}`);
    };
    const { keyId, ciphertext } = await client.encrypt({ plaintext: seed });
    expect(readBack).toEqual([`${keyId} ${seed.toString("hex")} ${Buffer.from(ciphertext).toString()}`]);
    harness.keys.override.confirmEncrypted = () =>
      Promise.reject(
        new ProviderError({ code: "key_replaced", errorClass: "status_stale", message: "refused" }),
      );
    expect(await failure(client.encrypt({ plaintext: seed }))).toEqual([
      code.FAILED_PRECONDITION,
      "key state is not fit for this call",
    ]);
  });

  test("a ciphertext that OpenBao refuses is not blamed while the key is lost", async () => {
    const { ciphertext, keyId, annotations } = await client.encrypt({ plaintext: seed });
    harness.transit.override.decrypt = () =>
      Promise.reject(
        new ProviderError({ code: "decrypt_failed", errorClass: "aad_mismatch", message: "refused" }),
      );
    const decrypt = () => failure(client.decrypt({ ciphertext, keyId, annotations }));
    expect((await decrypt())[0]).toBe(code.INVALID_ARGUMENT);
    harness.keys.override.status = () => ({ kind: "lost", errorClass: "transit_key_missing" });
    expect(await decrypt()).toEqual([code.FAILED_PRECONDITION, "the active key version is lost"]);
  });

  test("a deadline ends the call and what it does", async () => {
    const aborted = new Promise<unknown>((resolve) => {
      harness.transit.override.encrypt = (_input, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => {
            resolve(signal.reason);
            reject(signal.reason);
          });
        });
    });
    const [got] = await failure(client.encrypt({ plaintext: seed }, { deadline: Date.now() + 50 }));
    expect(got).toBe(code.DEADLINE_EXCEEDED);
    await aborted;
    await Bun.sleep(5);
    expect(harness.records[0]?.failure).toMatchObject({ unexpected: false });
    expect(["timeout", "canceled"]).toContain(harness.records[0]?.failure?.errorClass ?? "");
  });
});

describe("calls that are refused", () => {
  let harness: Harness;
  let client: KmsClient;
  beforeEach(async () => {
    harness = await startHarness();
    client = kmsClient(harness.path);
  });
  afterEach(async () => {
    client.close();
    await harness.stop();
  });

  async function sealed() {
    const { ciphertext, keyId, annotations } = await client.encrypt({ plaintext: seed });
    harness.transit.calls = 0;
    return { ciphertext, keyId, annotations };
  }

  test.each([
    [
      "no ciphertext",
      { ciphertext: Buffer.alloc(0) },
      code.INVALID_ARGUMENT,
      "ciphertext must have 1 to 1024 bytes",
    ],
    [
      "long ciphertext",
      { ciphertext: Buffer.alloc(1025, 65) },
      code.INVALID_ARGUMENT,
      "ciphertext must have 1 to 1024 bytes",
    ],
    ["no key_id", { keyId: "" }, code.INVALID_ARGUMENT, "key_id must have 1 to 1024 bytes"],
    ["long key_id", { keyId: "k".repeat(1025) }, code.INVALID_ARGUMENT, "key_id must have 1 to 1024 bytes"],
    ["foreign key_id", { keyId: "projects/p/keys/k" }, code.INVALID_ARGUMENT, "key_id is malformed"],
    ["unknown key_id", { keyId: keyHandle(9).keyId }, code.NOT_FOUND, "key_id is not known"],
    [
      "other version",
      { keyId: keyHandle(1).keyId, annotations: keyHandle(1).annotations.encoded },
      code.INVALID_ARGUMENT,
      "ciphertext is of another key version than key_id",
    ],
    [
      "annotations of another version",
      { annotations: keyHandle(1).annotations.encoded },
      code.INVALID_ARGUMENT,
      "ciphertext does not belong to key_id and annotations",
    ],
    ["no annotations", { annotations: {} }, code.INVALID_ARGUMENT, "an annotation is missing"],
    [
      "large annotations",
      { annotations: { "a.b": Buffer.alloc(32_766) } },
      code.INVALID_ARGUMENT,
      "annotations exceed 32768 bytes",
    ],
    [
      "one annotation more",
      { annotations: { ...active.annotations.encoded, "a.b": Buffer.from("x") } },
      code.INVALID_ARGUMENT,
      "annotations are not valid",
    ],
    [
      "ciphertext with a line break",
      { ciphertext: Buffer.from("vault:v2:AAAA\n") },
      code.INVALID_ARGUMENT,
      "ciphertext is not in canonical form",
    ],
    [
      "ciphertext of v02",
      { ciphertext: Buffer.from("vault:v02:AAAA") },
      code.INVALID_ARGUMENT,
      "ciphertext is not in canonical form",
    ],
    [
      "ciphertext with other characters",
      { ciphertext: Buffer.from("vault:v2:AAA\u0100", "utf8") },
      code.INVALID_ARGUMENT,
      "ciphertext is not in canonical form",
    ],
  ])("Decrypt with %s, before OpenBao is called", async (_name, change, expectedCode, text) => {
    const request = { ...(await sealed()), ...change };
    expect(await failure(client.decrypt(request))).toEqual([expectedCode, text]);
    expect(harness.transit.calls).toBe(0);
  });

  test("Encrypt of a plaintext whose ciphertext could be too long", async () => {
    const plaintext = Buffer.alloc(LARGEST_PLAINTEXT_BYTES + 1);
    expect(await failure(client.encrypt({ plaintext }))).toEqual([
      code.INVALID_ARGUMENT,
      "plaintext is too large",
    ]);
    expect(harness.transit.calls).toBe(0);
  });

  test.each([
    ["another version", "vault:v1:AAAA"],
    ["no canonical form", "vault:v+2:AAAA"],
    ["too much", `vault:v2:${Buffer.alloc(900).toString("base64")}`],
  ])("an Encrypt reply of OpenBao with %s never leaves", async (_name, text) => {
    harness.transit.override.encrypt = async () => text;
    expect(await failure(client.encrypt({ plaintext: seed }))).toEqual([
      code.INTERNAL,
      "reply would be outside the limits of KMS v2",
    ]);
  });

  test("a removed and a rejected version say so", async () => {
    for (const [thrown, text] of [
      ["version_removed", "key version was removed by retire-versions"],
      ["version_rejected", "key version contradicts what was recorded"],
    ] as const) {
      harness.keys.override.keyForDecrypt = async () => {
        throw new ProviderError({ code: thrown, errorClass: "key_id_unknown", message: "secret detail" });
      };
      expect(await failure(client.decrypt(await sealed()))).toEqual([code.FAILED_PRECONDITION, text]);
    }
  });

  test("what throws unexpectedly is INTERNAL, counted, and the next call is served", async () => {
    harness.transit.override.encrypt = async () => {
      throw new Error("a secret in a message");
    };
    expect(await failure(client.encrypt({ plaintext: seed }))).toEqual([code.INTERNAL, "internal error"]);
    expect(harness.records[0]?.failure).toMatchObject({ errorClass: "unknown", unexpected: true });
    harness.keys.override.status = () => {
      throw new TypeError("bug");
    };
    expect(await failure(client.status())).toEqual([code.INTERNAL, "internal error"]);
    harness.keys.override = {};
    expect(await client.status()).toMatchObject({ healthz: "ok" });
  });

  test("a method that does not exist", async () => {
    expect(await failure(client.raw(`${SERVICE}Rotate`, Buffer.alloc(0)))).toEqual([
      code.UNIMPLEMENTED,
      "unknown method",
    ]);
    expect(await failure(client.raw("/other.Service/Status", Buffer.alloc(0)))).toEqual([
      code.UNIMPLEMENTED,
      "unknown method",
    ]);
  });

  test("bytes that are not the message", async () => {
    expect(await failure(client.raw(`${SERVICE}Decrypt`, Buffer.from([0xff, 0xff, 0xff])))).toEqual([
      code.INVALID_ARGUMENT,
      "message is not valid protobuf",
    ]);
  });

  test("a message above 65,536 bytes", async () => {
    for (const size of [65_537, 70_000, 1_000_000]) {
      expect(await failure(client.raw(`${SERVICE}Encrypt`, Buffer.alloc(size)))).toEqual([
        code.RESOURCE_EXHAUSTED,
        "message is too large",
      ]);
    }
    expect(await client.status()).toMatchObject({ healthz: "ok" });
  });

  test("an annotation named __proto__ is one annotation too many", async () => {
    const request = toBinary(DecryptRequestSchema, create(DecryptRequestSchema, await sealed()));
    const entry = Buffer.concat([
      Buffer.from([0x0a, 9]),
      Buffer.from("__proto__"),
      Buffer.from([0x12, 1, 65]),
    ]);
    const message = Buffer.concat([request, Buffer.from([0x22, entry.length]), entry]);
    expect(await failure(client.raw(`${SERVICE}Decrypt`, message))).toEqual([
      code.INVALID_ARGUMENT,
      "annotations are not valid",
    ]);
  });

  test("metadata is bounded, and what is small is ignored", async () => {
    const flood = new Metadata();
    flood.set("x-flood", "x".repeat(60_000));
    await expect(client.encrypt({ plaintext: seed }, {}, flood)).rejects.toThrow();
    const some = new Metadata();
    some.set("x-some", "x".repeat(1000));
    await client.encrypt({ plaintext: seed }, {}, some);
  });

  test("a caller that cancels ends its call", async () => {
    const began = Promise.withResolvers<AbortSignal>();
    harness.transit.override.encrypt = (_input, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
        began.resolve(signal);
      });
    const call = client.client.makeUnaryRequest(
      `${SERVICE}Encrypt`,
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => bytes,
      Buffer.from([0x0a, 1, 65]),
      () => {},
    );
    const signal = await began.promise;
    const aborted = new Promise((resolve) => signal.addEventListener("abort", resolve));
    call.cancel();
    await aborted;
    await Bun.sleep(5);
    expect(harness.records[0]).toMatchObject({ status: "CANCELLED", failure: { errorClass: "canceled" } });
  });
});

describe("concurrency", () => {
  test("the call above the cap is refused at once, other methods go on", async () => {
    const harness = await startHarness({ caps: { Status: 16, Encrypt: 2, Decrypt: 64 } });
    const client = kmsClient(harness.path);
    try {
      const release = Promise.withResolvers<string>();
      harness.transit.override.encrypt = () => release.promise;
      const held = [client.encrypt({ plaintext: seed }), client.encrypt({ plaintext: seed })];
      while (harness.started.length < 2) {
        await Bun.sleep(1);
      }
      expect(await failure(client.encrypt({ plaintext: seed }))).toEqual([
        code.RESOURCE_EXHAUSTED,
        "too many calls at once",
      ]);
      expect(harness.records[0]?.failure?.rejection).toEqual({ check: "concurrency" });
      expect(await client.status()).toMatchObject({ healthz: "ok" });
      release.resolve("vault:v2:AAAA");
      await Promise.all(held);
      harness.transit.override = {};
      await client.encrypt({ plaintext: seed });
    } finally {
      client.close();
      await harness.stop();
    }
  });
});
