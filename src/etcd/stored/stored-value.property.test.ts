import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { envelopeBytes, ourStoredValue } from "../../../test/fakes/etcd/envelope-bytes.ts";
import { TEST_IDENTITY } from "../../../test/fakes/key-scope.ts";
import vectors from "../../../test/vectors/wire.json";
import { annotationCodec } from "../../key/identity/annotations.ts";
import { deriveKeyId } from "../../key/identity/key-id.ts";
import { decodeEncryptedObject } from "./encrypted-object.ts";
import { classifyStoredValue } from "./stored-value.ts";

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
    for (let length = 0; length < bytes.length; length++) {
      const cut = decodeEncryptedObject(bytes.subarray(0, length));
      // Cut between two fields it may still be an envelope, but never one with another key_id.
      expect([undefined, keyId]).toContain(cut?.keyId);
    }
  });
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
