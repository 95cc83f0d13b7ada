import { expect, test } from "bun:test";
import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import { ProviderError } from "../base/error-class.ts";
import { MAX_CIPHERTEXT_BYTES } from "../openbao/transit/ciphertext.ts";
import { AnnotationError } from "./errors.ts";
import { DecryptRequestSchema, EncryptRequestSchema } from "./gen/v2/api_pb.ts";
import {
  annotationsWellFormed,
  checkDecryptRequest,
  checkEncryptRequest,
  checkEncryptResponse,
  MAX_ANNOTATIONS_BYTES,
  MAX_KEY_ID_BYTES,
} from "./limits.ts";

function refused(check: () => void): string | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    return error instanceof ProviderError ? error.code : "not a ProviderError";
  }
}

/** What Transit makes of a plaintext: prefix, then base64 of nonce, ciphertext and tag. */
function ciphertextLength(plaintextBytes: number, version: number): number {
  return `vault:v${version}:`.length + 4 * Math.ceil((plaintextBytes + 28) / 3);
}

const version = fc.integer({ min: 1, max: 2 ** 31 });

test("a plaintext is let through exactly when its ciphertext fits", () => {
  fc.assert(
    fc.property(version, fc.integer({ min: 0, max: 2000 }), (keyVersion, length) => {
      const request = create(EncryptRequestSchema, { plaintext: new Uint8Array(length) });
      const fits = length > 0 && ciphertextLength(length, keyVersion) <= MAX_CIPHERTEXT_BYTES;
      expect(refused(() => checkEncryptRequest(request, keyVersion)) === undefined).toBe(fits);
    }),
  );
});

const sizes = fc.oneof(
  fc.integer({ min: 0, max: 3 }),
  fc.integer({ min: 1020, max: 1028 }),
  fc.integer({ min: 0, max: 5000 }),
);
const annotations = fc.dictionary(
  fc.oneof(fc.string({ unit: "binary" }), fc.constant("__proto__")),
  fc.integer({ min: 0, max: 20_000 }).map((length) => new Uint8Array(length)),
  { maxKeys: 4 },
);

test("a Decrypt is let through exactly within the limits, in bytes of UTF-8", () => {
  fc.assert(
    fc.property(
      sizes,
      fc.string({ unit: "binary", maxLength: 1100 }),
      annotations,
      (ciphertextBytes, keyId, map) => {
        const request = create(DecryptRequestSchema, { ciphertext: new Uint8Array(ciphertextBytes), keyId });
        request.annotations = map;
        const annotationBytes = Object.entries(map).reduce(
          (sum, [key, value]) => sum + Buffer.from(key).length + value.length,
          0,
        );
        const keyIdBytes = Buffer.from(keyId).length;
        const fits =
          ciphertextBytes >= 1 &&
          ciphertextBytes <= MAX_CIPHERTEXT_BYTES &&
          keyIdBytes >= 1 &&
          keyIdBytes <= MAX_KEY_ID_BYTES &&
          annotationBytes <= MAX_ANNOTATIONS_BYTES;
        expect(refused(() => checkDecryptRequest(request)) === undefined).toBe(fits);
      },
    ),
  );
});

test("a Decrypt has at most 64 annotations", () => {
  const withAnnotations = (count: number) => {
    const request = create(DecryptRequestSchema, { ciphertext: new Uint8Array(1), keyId: "k" });
    request.annotations = Object.fromEntries(
      Array.from({ length: count }, (_, index) => [`a${index}.b`, new Uint8Array(1)]),
    );
    return () => checkDecryptRequest(request);
  };
  expect(withAnnotations(64)).not.toThrow();
  expect(withAnnotations(65)).toThrow(AnnotationError);
});

test("a reply outside the limits is refused whatever part it is", () => {
  const sound = {
    ciphertext: new Uint8Array(1024),
    keyId: "k".repeat(1024),
    annotations: { "a.b": new Uint8Array(32_765) },
  };
  expect(refused(() => checkEncryptResponse(sound))).toBeUndefined();
  for (const change of [
    { ciphertext: new Uint8Array(0) },
    { ciphertext: new Uint8Array(1025) },
    { keyId: "" },
    { keyId: "\u00e9".repeat(513) },
    { annotations: { "a.b": new Uint8Array(32_766) } },
  ]) {
    expect(refused(() => checkEncryptResponse({ ...sound, ...change }))).toBe("reply_out_of_bounds");
  }
});

const label = fc.stringMatching(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/);

test("annotation keys are lowercase domain names of two labels or more", () => {
  fc.assert(
    fc.property(fc.array(label, { minLength: 1, maxLength: 5 }), (labels) => {
      const key = labels.join(".");
      expect(annotationsWellFormed({ [key]: new Uint8Array(1) })).toBe(
        labels.length > 1 && key.length <= 253,
      );
    }),
  );
});

test.each([
  [["A.b"]],
  [["a.b."]],
  [[".a.b"]],
  [["a..b"]],
  [["-a.b"]],
  [["a-.b"]],
  [["a.b\n"]],
  [["a_b.c"]],
  [[`${"a".repeat(64)}.b`]],
  [[`${"a".repeat(63)}.`.repeat(4)]],
])("key %p is refused", ([key = ""]) => {
  expect(annotationsWellFormed({ [key]: new Uint8Array(1) })).toBe(false);
});

test("a value that is not UTF-8 is refused", () => {
  expect(annotationsWellFormed({ "a.b": Buffer.from([0xc0, 0x80]) })).toBe(false);
});
