import { describe, expect, test } from "bun:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { type DecryptRequest, DecryptRequestSchema, DecryptResponseSchema } from "./gen/v2/api_pb.ts";
import { quickDecryptRequest, quickDecryptResponse } from "./quick-decrypt.ts";

type Fields = Pick<DecryptRequest, "ciphertext" | "uid" | "keyId" | "annotations">;

const encoded = (fields: Partial<Fields>): Uint8Array =>
  toBinary(DecryptRequestSchema, create(DecryptRequestSchema, fields));
const text = (bytes: number): string => "a".repeat(bytes);

const asciiBytes = fc.uint8Array({ max: 127, maxLength: 127 });
const asciiText = fc.string({ unit: "binary-ascii", maxLength: 40 });
const entry = fc.tuple(
  asciiText.filter((key) => key !== "__proto__"),
  fc.uint8Array({ max: 127, maxLength: 60 }),
);
const asciiRequest = fc.record({
  ciphertext: asciiBytes,
  uid: asciiText,
  keyId: asciiText,
  annotations: fc.array(entry, { maxLength: 10 }).map((entries) => Object.fromEntries(entries)),
});

test("a request of ASCII bytes is read here, and as the generic decoder reads it", () => {
  fc.assert(
    fc.property(asciiRequest, (fields) => {
      const bytes = encoded(fields);
      const quick = quickDecryptRequest(bytes);
      expect(quick).toEqual(fromBinary(DecryptRequestSchema, bytes));
      expect(quick).toMatchObject({ uid: fields.uid, keyId: fields.keyId });
    }),
  );
});

test("what is read here at all is what the generic decoder reads", () => {
  const parts = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.uint8Array({ max: 127, maxLength: 40 }),
    fc
      .array(fc.constantFrom(0x0a, 0x12, 0x1a, 0x22, 0, 1, 2, 3, 4, 0x61), { maxLength: 24 })
      .map((each) => Uint8Array.from(each)),
    asciiRequest.map(encoded),
  );
  const cut = fc
    .tuple(fc.array(parts, { maxLength: 3 }), fc.nat(300))
    .map(([each, length]) => Buffer.concat(each).subarray(0, length));
  fc.assert(
    fc.property(cut, (bytes) => {
      const quick = quickDecryptRequest(bytes);
      if (quick !== undefined) {
        expect(quick).toEqual(fromBinary(DecryptRequestSchema, bytes));
      }
    }),
    { numRuns: 2000 },
  );
});

test("a view into a larger buffer is read from its own start to its own end", () => {
  const bytes = encoded({ uid: "u", keyId: "k", annotations: { a: Buffer.from("b") } });
  const around = Buffer.concat([Buffer.from("xxxxx"), bytes, Buffer.from("yyyyy")]);
  expect(quickDecryptRequest(around.subarray(5, 5 + bytes.length))).toEqual(
    fromBinary(DecryptRequestSchema, bytes),
  );
});

describe("is left to the generic decoder:", () => {
  const annotation = (...bytes: number[]): Uint8Array => Uint8Array.from([0x22, bytes.length, ...bytes]);
  test.each([
    ["text beyond ASCII", encoded({ uid: "é" })],
    ["a byte beyond ASCII", encoded({ ciphertext: Uint8Array.of(128) })],
    ["a length of two bytes", encoded({ keyId: text(128) })],
    ["a length beyond the end", Uint8Array.of(0x0a, 2, 1)],
    ["a tag without a length", Uint8Array.of(0x0a)],
    ["an unknown field", Uint8Array.of(0x2a, 1, 1)],
    ["another wire type", Uint8Array.of(0x08, 1)],
    ["an annotation without a value", annotation(0x0a, 1, 0x61)],
    ["an annotation without a key", annotation(0x12, 1, 0x61)],
    ["an annotation with its value first", annotation(0x12, 1, 0x61, 0x0a, 1, 0x62)],
    ["an annotation with more behind its value", annotation(0x0a, 1, 0x61, 0x12, 1, 0x62, 0x12, 0)],
    ["an annotation whose value ends beyond it", annotation(0x0a, 1, 0x61, 0x12, 2, 0x62)],
    ["an annotation whose second field is another", annotation(0x0a, 1, 0x61, 0x1a, 1, 0x62)],
    ["an annotation whose key ends beyond it", annotation(0x0a, 9, 0x61, 0x12, 1, 0x62)],
    ["an empty annotation", annotation()],
    ["the name of the prototype", annotation(0x0a, 9, ...Buffer.from("__proto__"), 0x12, 0)],
  ])("%s", (_name, bytes) => {
    expect(quickDecryptRequest(bytes)).toBeUndefined();
  });

  test("the longest that is not", () => {
    expect(quickDecryptRequest(encoded({ keyId: text(127) }))?.keyId).toBe(text(127));
    expect(quickDecryptRequest(new Uint8Array(0))).toEqual(create(DecryptRequestSchema));
    expect(quickDecryptRequest(Uint8Array.of(0x22, 4, 0x0a, 0, 0x12, 0))?.annotations).toEqual({
      "": new Uint8Array(0),
    });
  });
});

test("a response is written here as the generic encoder writes it, or left to it", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 140 }), (plaintext) => {
      const quick = quickDecryptResponse({ plaintext });
      const isQuick = plaintext.length > 0 && plaintext.length < 128;
      const generic = toBinary(DecryptResponseSchema, create(DecryptResponseSchema, { plaintext }));
      expect(quick).toEqual(isQuick ? generic : undefined);
    }),
  );
});

test.each([
  [0, undefined],
  [1, 3],
  [127, 129],
  [128, undefined],
] as const)("a plaintext of %d bytes gives %p", (length, expected) => {
  expect(quickDecryptResponse({ plaintext: new Uint8Array(length) })?.length).toBe(expected);
});

test("a response without a plaintext is left to the generic encoder", () => {
  expect(quickDecryptResponse({})).toBeUndefined();
});
