import { describe, expect, test } from "bun:test";
import vectors from "../../../test/vectors/wire.json";
import { annotationCodec } from "./annotations.ts";
import { associatedDataText, transitAssociatedData } from "./associated-data.ts";
import { deriveKeyId, isWellFormedKeyId } from "./key-id.ts";

for (const vector of vectors.vectors) {
  const scope = { openbaoNamespace: "", ...vector.scope };
  const keyVersion = { version: vector.transitVersion, createdAtUnix: vector.transitVersionCreatedAtUnix };
  describe(`wire vector: ${vector.name}`, () => {
    const keyId = deriveKeyId(scope, keyVersion);
    const codec = annotationCodec(scope, keyVersion, keyId, vector.pluginVersion);

    test("key_id", () => {
      expect(keyId).toBe(vector.keyId);
      expect(isWellFormedKeyId(keyId)).toBe(true);
    });
    test("annotations", () => {
      const texts = Object.fromEntries(
        Object.entries(codec.encoded).map(([key, value]) => [key, Buffer.from(value).toString()]),
      );
      expect(texts).toEqual(vector.annotations);
      expect(codec.check(codec.encoded)).toBeUndefined();
    });
    test("associated data", () => {
      expect(associatedDataText(scope, keyVersion, keyId)).toBe(vector.aad);
      expect(transitAssociatedData(scope, keyVersion, keyId)).toBe(vector.transitAssociatedData);
    });
    test("an annotation that is missing, extra or changed is refused", () => {
      for (const key of Object.keys(codec.encoded)) {
        const { [key]: _, ...rest } = codec.encoded;
        expect(codec.check(rest)).toBe("missing");
        const changed = codec.check({ ...codec.encoded, [key]: Buffer.from("\u0000") });
        expect(changed).toBe(key === "plugin-version.kms.openbao.org" ? "malformed" : "disagrees");
      }
      expect(codec.check({ ...codec.encoded, "extra.kms.openbao.org": Buffer.from("x") })).toBe("unexpected");
    });
  });
}

test.each([
  ["", false],
  ["obk1.ig7zS9_yvQrdlcvWgJUhA5q_fQYupc5jRX5MzhAMQSk", false],
  ["obk2.ig7zS9_yvQrdlcvWgJUhA5q_fQYupc5jRX5MzhAMQSl", false],
  ["obk2.ig7zS9_yvQrdlcvWgJUhA5q_fQYupc5jRX5MzhAMQSk=", false],
  ["obk2.ig7zS9_yvQrdlcvWgJUhA5q_fQYupc5jRX5MzhAMQSk\n", false],
])("isWellFormedKeyId(%p) is %p", (text, expected) => {
  expect(isWellFormedKeyId(text)).toBe(expected);
});
