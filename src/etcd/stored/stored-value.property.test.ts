import { describe, expect, test } from "bun:test";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import {
  type EnvelopeParts,
  envelopeBytes,
  ourStoredValue,
} from "../../../test/fakes/etcd/envelope-bytes.ts";
import { TEST_IDENTITY } from "../../../test/fakes/key-scope.ts";
import vectors from "../../../test/vectors/wire.json";
import { annotationCodec } from "../../key/identity/annotations.ts";
import { deriveKeyId } from "../../key/identity/key-id.ts";
import { classifyStoredValue, decodeEncryptedObject } from "./stored-value.ts";

const DATA = Buffer.from("encrypted");

test.each(vectors.vectors)("ours: $name", (vector) => {
  const scope = { openbaoNamespace: "", ...vector.scope };
  const version = { version: vector.transitVersion, createdAtUnix: vector.transitVersionCreatedAtUnix };
  expect(classifyStoredValue(ourStoredValue(scope, version))).toEqual({
    kind: "ours",
    provider: scope.providerName,
    keyId: vector.keyId,
    statedVersion: String(vector.transitVersion),
  });
});

describe("markers", () => {
  const foreign = envelopeBytes({ encryptedData: DATA, keyId: "k1", encryptedDekSource: DATA });
  test.each([
    ["", { kind: "plaintext" }],
    ["k8s:enc", { kind: "plaintext" }],
    ["k8s\0\n\x0c\n\x02v1", { kind: "plaintext" }],
    ['{"kind":"Secret"}', { kind: "plaintext" }],
    ["k8s:enc:", { kind: "unknown" }],
    ["k8s:enc:aescbc:v2:key1:x", { kind: "unknown" }],
    ["k8s:enc:kms:v3:name:x", { kind: "unknown" }],
    ["k8s:enc:kms:v2:without-end", { kind: "unknown" }],
    ["k8s:enc:aescbc:v1:key1:x", { kind: "local_key", transformer: "aescbc", keyName: "key1" }],
    ["k8s:enc:aesgcm:v1:key 2:x", { kind: "local_key", transformer: "aesgcm", keyName: "key 2" }],
    ["k8s:enc:secretbox:v1:key3:x", { kind: "local_key", transformer: "secretbox", keyName: "key3" }],
    ["k8s:enc:kms:v1:old:x", { kind: "kms_v1", provider: "old" }],
    ["k8s:enc:kms:v2:cloud:", { kind: "damaged", provider: "cloud" }],
    [
      `k8s:enc:kms:v2:cloud:${Buffer.from(foreign).toString("latin1")}`,
      { kind: "kms_v2_other", provider: "cloud", keyId: "k1" },
    ],
  ] as const)("%j", (text, expected) => {
    expect(classifyStoredValue(Buffer.from(text, "latin1"))).toEqual(expected);
  });
});

test("an annotation that is there twice is damage, also with the same value", () => {
  const scope = TEST_IDENTITY;
  const whole = ourStoredValue(scope, { version: 3, createdAtUnix: 1_700_000_000 });
  expect(classifyStoredValue(whole).kind).toBe("ours");
  const again = envelopeBytes({ annotations: { "aad-version.kms.openbao.org": Buffer.from("v1") } });
  // Behind the last field, the type of the seed: fields may come in any order.
  expect(classifyStoredValue(Buffer.concat([whole, again])).kind).toBe("damaged");
});

describe("an envelope that claims to be ours and is not", () => {
  const scope = TEST_IDENTITY;
  const version = { version: 3, createdAtUnix: 1_700_000_000 };
  const keyId = deriveKeyId(scope, version);
  const { encoded } = annotationCodec(scope, version, keyId, "0.1.0");
  const good = {
    encryptedData: DATA,
    keyId,
    encryptedDekSource: DATA,
    annotations: encoded,
    dekSourceType: 1,
  };
  const { "provider.kms.openbao.org": _, ...anonymous } = encoded;

  test.each([
    ["no annotations", { ...good, annotations: {} }],
    ["no provider annotation", { ...good, annotations: anonymous }],
    ["another key_id than its hash", { ...good, keyId: deriveKeyId(scope, { ...version, version: 4 }) }],
    ["a key_id of another shape", { ...good, keyId: "obk1.x" }],
    [
      "a version of 0",
      { ...good, annotations: { ...encoded, "transit-key-version.kms.openbao.org": Buffer.from("0") } },
    ],
    ["no data", { ...good, encryptedData: new Uint8Array() }],
    ["a seed of 1025 bytes", { ...good, encryptedDekSource: new Uint8Array(1025) }],
    ["an unknown seed type", { ...good, dekSourceType: 2 }],
    [
      "annotations of 33 KiB",
      { ...good, annotations: { ...encoded, "x.example.org": new Uint8Array(33_000) } },
    ],
  ])("%s", (_name, parts) => {
    const value = Buffer.concat([Buffer.from("k8s:enc:kms:v2:p:"), envelopeBytes(parts)]);
    expect(classifyStoredValue(value).kind).toBe("damaged");
  });

  test("a repeated field, a field left over, a cut", () => {
    const bytes = envelopeBytes(good);
    expect(decodeEncryptedObject(bytes)?.keyId).toBe(keyId);
    expect(decodeEncryptedObject(Buffer.concat([bytes, envelopeBytes({ keyId })]))).toBeUndefined();
    expect(decodeEncryptedObject(Buffer.concat([bytes, Buffer.of(0x32, 0)]))).toBeUndefined();
    // What follows the unknown field's tag is a whole annotation when the field is not refused.
    const annotation = envelopeBytes({ annotations: { "x.example.org": Buffer.from("v") } });
    expect(decodeEncryptedObject(Buffer.concat([bytes, annotation]))?.keyId).toBe(keyId);
    expect(decodeEncryptedObject(Buffer.concat([bytes, Buffer.of(0x32), annotation]))).toBeUndefined();
    for (let length = 0; length < bytes.length; length++) {
      const cut = decodeEncryptedObject(bytes.subarray(0, length));
      // Cut between two fields it may still be an envelope, but never one with another key_id.
      expect([undefined, keyId]).toContain(cut?.keyId);
    }
  });
});

describe("the bounds of an envelope", () => {
  const parts = { encryptedData: DATA, keyId: "k", encryptedDekSource: DATA };
  const isRead = (change: EnvelopeParts): boolean =>
    decodeEncryptedObject(envelopeBytes({ ...parts, ...change })) !== undefined;

  test("a key_id of 1024 bytes, a seed of 1024 bytes", () => {
    expect(isRead({ keyId: "k".repeat(1024) })).toBe(true);
    expect(isRead({ keyId: "k".repeat(1025) })).toBe(false);
    expect(isRead({ encryptedDekSource: new Uint8Array(1024) })).toBe(true);
    expect(isRead({ encryptedDekSource: new Uint8Array(1025) })).toBe(false);
  });

  test("annotations of 32 KiB in all", () => {
    // Tag and length of key and value, and a key of one letter, take 6 bytes.
    const half = new Uint8Array(16 * 1024 - 6);
    const more = new Uint8Array(16 * 1024 - 5);
    expect(isRead({ annotations: { a: half, b: half } })).toBe(true);
    expect(isRead({ annotations: { a: half, b: more } })).toBe(false);
  });

  test.each(["encryptedData", "keyId", "encryptedDekSource"] as const)(
    "%s is not left out nor empty",
    (part) => {
      const { [part]: _, ...rest } = parts;
      expect(decodeEncryptedObject(envelopeBytes(rest))).toBeUndefined();
      expect(isRead({ [part]: part === "keyId" ? "" : new Uint8Array() })).toBe(false);
    },
  );

  test("text that is not UTF-8 is refused, and a mark of byte order stays", () => {
    const [before = "", after = ""] = Buffer.from(envelopeBytes({ ...parts, keyId: "@@@" }))
      .toString("latin1")
      .split("@@@");
    const withKeyId = (latin1: string) =>
      decodeEncryptedObject(Buffer.from(before + latin1 + after, "latin1"));
    expect(withKeyId("\xef\xbb\xbf")?.keyId).toBe("\ufeff");
    expect(withKeyId("a\xffb")).toBeUndefined();
  });

  test("an annotation has a key and then a value, each once and as bytes", () => {
    const withAnnotation = (write: (entry: BinaryWriter) => BinaryWriter) => {
      const entry = write(new BinaryWriter()).finish();
      const field = new BinaryWriter().tag(4, WireType.LengthDelimited).bytes(entry).finish();
      return decodeEncryptedObject(Buffer.concat([envelopeBytes(parts), field]))?.annotations;
    };
    const key = (entry: BinaryWriter) => entry.tag(1, WireType.LengthDelimited).string("k");
    const value = (entry: BinaryWriter) => entry.tag(2, WireType.LengthDelimited).string("v");
    expect(withAnnotation((entry) => value(key(entry)))).toEqual(new Map([["k", "v"]]));
    expect(withAnnotation(key)).toEqual(new Map([["k", ""]]));
    expect(withAnnotation(value)).toBeUndefined();
    expect(withAnnotation((entry) => key(value(entry)))).toBeUndefined();
    expect(withAnnotation((entry) => key(key(entry)))).toBeUndefined();
    expect(withAnnotation((entry) => value(value(key(entry))))).toBeUndefined();
    expect(withAnnotation((entry) => key(entry).tag(2, WireType.Varint).uint32(1))).toBeUndefined();
    expect(
      withAnnotation((entry) => key(entry).tag(3, WireType.LengthDelimited).string("x")),
    ).toBeUndefined();
  });
});

test("a marker has 1,024 bytes at most", () => {
  const named = (length: number) =>
    classifyStoredValue(Buffer.from(`k8s:enc:kms:v1:${"n".repeat(length - "k8s:enc:kms:v1::".length)}:x`));
  expect(named(1024).kind).toBe("kms_v1");
  expect(named(1025).kind).toBe("unknown");
});

test("no bytes make the decoder throw, and what it takes it took from the bytes", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc
      .record(
        {
          encryptedData: fc.uint8Array({ maxLength: 20 }),
          keyId: fc.string({ maxLength: 20 }),
          encryptedDekSource: fc.uint8Array({ maxLength: 20 }),
          annotations: fc.dictionary(fc.string({ maxLength: 9 }), fc.uint8Array({ maxLength: 9 })),
          dekSourceType: fc.nat({ max: 2 }),
        },
        { requiredKeys: [] },
      )
      .map(envelopeBytes),
  );
  fc.assert(
    fc.property(bytes, fc.option(fc.tuple(fc.nat(), fc.nat({ max: 255 }))), (raw, damage) => {
      const hostile = Buffer.from(raw);
      if (damage !== null && hostile.length > 0) {
        hostile[damage[0] % hostile.length] = damage[1];
      }
      const decoded = decodeEncryptedObject(hostile);
      if (decoded !== undefined) {
        expect(hostile.includes(Buffer.from(decoded.keyId))).toBe(true);
      }
      classifyStoredValue(Buffer.concat([Buffer.from("k8s:enc:kms:v2:p:"), hostile]));
    }),
    { numRuns: 2000 },
  );
});
