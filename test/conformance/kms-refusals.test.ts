/** Calls that are refused, with which code and text, and replies that never leave. */
import { describe, expect, test } from "bun:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { status as code, Metadata } from "@grpc/grpc-js";
import { ProviderError } from "../../src/base/error-class.ts";
import { DecryptRequestSchema } from "../../src/kms/gen/v2/api_pb.ts";
import { SERVICE } from "../harness/kms-client.ts";
import { failure, type KmsClient, keyHandle, LARGEST_PLAINTEXT_BYTES } from "./harness.ts";
import { refused, sealed, servedEachTest } from "./served.ts";

const seed = Buffer.alloc(32, 7);
const active = keyHandle(2);
const OUTSIDE = "reply would be outside the limits of KMS v2";

/** The active version's annotations, with one more of so many bytes. */
function withAnnotation(key: string, bytes: number) {
  return {
    ...active.annotations,
    encoded: { ...active.annotations.encoded, [key]: Buffer.alloc(bytes, 65) },
  };
}

describe("calls that are refused", () => {
  const served = servedEachTest();

  async function storedRequest() {
    const request = await sealed(served, seed);
    served.harness.transit.calls = 0;
    return request;
  }

  test.each<readonly [string, Parameters<KmsClient["decrypt"]>[0], string, number?]>([
    ["no ciphertext", { ciphertext: Buffer.alloc(0) }, "ciphertext must have 1 to 1024 bytes"],
    ["long ciphertext", { ciphertext: Buffer.alloc(1025, 65) }, "ciphertext must have 1 to 1024 bytes"],
    ["no key_id", { keyId: "" }, "key_id must have 1 to 1024 bytes"],
    ["long key_id", { keyId: "k".repeat(1025) }, "key_id must have 1 to 1024 bytes"],
    ["foreign key_id", { keyId: "projects/p/keys/k" }, "key_id is malformed"],
    ["unknown key_id", { keyId: keyHandle(9).keyId }, "key_id is not known", code.NOT_FOUND],
    [
      "other version",
      { keyId: keyHandle(1).keyId, annotations: keyHandle(1).annotations.encoded },
      "ciphertext is of another key version than key_id",
    ],
    [
      "annotations of another version",
      { annotations: keyHandle(1).annotations.encoded },
      "ciphertext does not belong to key_id and annotations",
    ],
    ["no annotations", { annotations: {} }, "an annotation is missing"],
    ["large annotations", { annotations: { "a.b": Buffer.alloc(32_766) } }, "annotations exceed 32768 bytes"],
    [
      "one annotation more",
      { annotations: { ...active.annotations.encoded, "a.b": Buffer.from("x") } },
      "annotations are not valid",
    ],
    [
      "ciphertext with a line break",
      { ciphertext: Buffer.from("vault:v2:AAAA\n") },
      "ciphertext is not in canonical form",
    ],
    [
      "ciphertext of v02",
      { ciphertext: Buffer.from("vault:v02:AAAA") },
      "ciphertext is not in canonical form",
    ],
    [
      "ciphertext with a byte that is a letter but for its highest bit",
      { ciphertext: Buffer.from("vault:v2:\u00c1AAA", "latin1") },
      "ciphertext is not in canonical form",
    ],
    [
      "65 annotations",
      {
        annotations: Object.fromEntries(
          Array.from({ length: 65 }, (_, index) => [`a${index}.b`, Buffer.from("x")] as const),
        ),
      },
      "annotations are not valid",
    ],
    [
      "ciphertext with other characters",
      { ciphertext: Buffer.from("vault:v2:AAA\u0100", "utf8") },
      "ciphertext is not in canonical form",
    ],
  ])(
    "Decrypt with %s, before OpenBao is called",
    async (_name, change, text, expectedCode = code.INVALID_ARGUMENT) => {
      const request = { ...(await storedRequest()), ...change };
      await refused(served.client.decrypt(request), expectedCode, text);
      expect(served.harness.transit.calls).toBe(0);
    },
  );

  test("Encrypt of a plaintext whose ciphertext could be too long", async () => {
    const plaintext = Buffer.alloc(LARGEST_PLAINTEXT_BYTES + 1);
    await refused(served.client.encrypt({ plaintext }), code.INVALID_ARGUMENT, "plaintext is too large");
    expect(served.harness.transit.calls).toBe(0);
  });

  test.each([
    ["another version", "vault:v1:AAAA"],
    ["no canonical form", "vault:v+2:AAAA"],
    ["too much", `vault:v2:${Buffer.alloc(900).toString("base64")}`],
  ])("an Encrypt reply of OpenBao with %s never leaves", async (_name, text) => {
    served.harness.transit.override.encrypt = async () => text;
    await refused(served.client.encrypt({ plaintext: seed }), code.INTERNAL, OUTSIDE);
  });

  test.each([
    ["a key_id that is too long", { keyId: "k".repeat(1025) }],
    ["no key_id", { keyId: "" }],
    ["annotations that are too large", { annotations: withAnnotation("a.b", 32_768) }],
    ["an annotation key that is no domain name", { annotations: withAnnotation("a_b.c", 1) }],
  ])("an Encrypt reply of our own with %s never leaves", async (_name, change) => {
    served.harness.keys.override.keyForEncrypt = () => ({ ...active, ...change });
    await refused(served.client.encrypt({ plaintext: seed }), code.INTERNAL, OUTSIDE);
  });

  test("annotations that are not what KMS v2 allows are noticed before OpenBao is asked, each time", async () => {
    served.harness.keys.override.keyForEncrypt = () => ({
      ...active,
      annotations: withAnnotation("a_b.c", 1),
    });
    for (const _ of [1, 2]) {
      expect((await failure(served.client.encrypt({ plaintext: seed })))[0]).toBe(code.INTERNAL);
    }
    expect(served.harness.transit.calls).toBe(0);
  });

  test("a plaintext of OpenBao that is longer than its ciphertext never leaves", async () => {
    const request = await storedRequest();
    for (const [bytes, expected] of [
      [1024, undefined],
      [1025, code.INTERNAL],
    ] as const) {
      served.harness.transit.override.decrypt = async () => Buffer.alloc(bytes);
      const got = await failure(served.client.decrypt(request)).catch(() => [undefined]);
      expect(got[0]).toBe(expected);
    }
  });

  test("a removed and a rejected version say so", async () => {
    for (const [thrown, text] of [
      ["version_removed", "key version was removed by retire-versions"],
      ["version_rejected", "key version contradicts what was recorded"],
    ] as const) {
      served.harness.keys.override.keyForDecrypt = async () => {
        throw new ProviderError({ code: thrown, errorClass: "key_id_unknown", message: "secret detail" });
      };
      await refused(served.client.decrypt(await storedRequest()), code.FAILED_PRECONDITION, text);
    }
  });

  test("what throws unexpectedly is INTERNAL, counted, and the next call is served", async () => {
    served.harness.transit.override.encrypt = async () => {
      throw new Error("a secret in a message");
    };
    await refused(served.client.encrypt({ plaintext: seed }), code.INTERNAL, "internal error");
    expect(served.harness.records[0]?.failure).toMatchObject({ errorClass: "unknown", unexpected: true });
    served.harness.keys.override.status = () => {
      throw new TypeError("bug");
    };
    await refused(served.client.status(), code.INTERNAL, "internal error");
    served.harness.keys.override = {};
    expect(await served.client.status()).toMatchObject({ healthz: "ok" });
  });

  test.each([
    ["a method that does not exist", "Rotate", Buffer.alloc(0), code.UNIMPLEMENTED, "unknown method"],
    [
      "bytes that are not the message",
      "Decrypt",
      Buffer.from([0xff, 0xff, 0xff]),
      code.INVALID_ARGUMENT,
      "message is not valid protobuf",
    ],
    ["65,537 bytes", "Encrypt", Buffer.alloc(65_537), code.RESOURCE_EXHAUSTED, "message is too large"],
    ["70,000 bytes", "Encrypt", Buffer.alloc(70_000), code.RESOURCE_EXHAUSTED, "message is too large"],
    ["a megabyte", "Encrypt", Buffer.alloc(1_000_000), code.RESOURCE_EXHAUSTED, "message is too large"],
    // 4 bytes of tag and length make it 65,536 bytes, so that it is read.
    [
      "the largest message, whose plaintext is too large",
      "Encrypt",
      Buffer.concat([Buffer.from([0x0a, 0xfc, 0xff, 0x03]), Buffer.alloc(65_532)]),
      code.INVALID_ARGUMENT,
      "plaintext is too large",
    ],
  ])("%s", async (_name, method, message, expectedCode, text) => {
    await refused(served.client.raw(SERVICE + method, message), expectedCode, text);
    expect(await served.client.status()).toMatchObject({ healthz: "ok" });
  });

  test("a method of a service that does not exist", async () => {
    const call = served.client.raw("/other.Service/Status", Buffer.alloc(0));
    await refused(call, code.UNIMPLEMENTED, "unknown method");
  });

  test("an annotation named __proto__ is one annotation too many", async () => {
    const request = toBinary(DecryptRequestSchema, create(DecryptRequestSchema, await storedRequest()));
    const entry = Buffer.concat([
      Buffer.from([0x0a, 9]),
      Buffer.from("__proto__"),
      Buffer.from([0x12, 1, 65]),
    ]);
    const message = Buffer.concat([request, Buffer.from([0x22, entry.length]), entry]);
    await refused(
      served.client.raw(`${SERVICE}Decrypt`, message),
      code.INVALID_ARGUMENT,
      "annotations are not valid",
    );
  });

  test("metadata is bounded, and what is small is ignored", async () => {
    const flood = new Metadata();
    flood.set("x-flood", "x".repeat(60_000));
    await expect(served.client.encrypt({ plaintext: seed }, { metadata: flood })).rejects.toThrow();
    const some = new Metadata();
    some.set("x-some", "x".repeat(1000));
    await served.client.encrypt({ plaintext: seed }, { metadata: some });
  });

  test("a caller that cancels ends its call", async () => {
    const began = Promise.withResolvers<AbortSignal>();
    served.harness.transit.override.encrypt = (_input, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
        began.resolve(signal);
      });
    const caller = new AbortController();
    const call = failure(served.client.encrypt({ plaintext: seed }, { signal: caller.signal }));
    const signal = await began.promise;
    const aborted = new Promise((resolve) => signal.addEventListener("abort", resolve));
    caller.abort();
    await aborted;
    expect((await call)[0]).toBe(code.CANCELLED);
    await Bun.sleep(5);
    expect(served.harness.records[0]).toMatchObject({
      status: "CANCELLED",
      failure: { errorClass: "canceled" },
    });
  });
});
