import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { decodeEncryptionConfig } from "./decode.ts";
import { EncryptionConfigError } from "./refusal.ts";

const secret = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const good = JSON.stringify({
  apiVersion: "apiserver.config.k8s.io/v1",
  kind: "EncryptionConfiguration",
  resources: [
    {
      resources: ["secrets"],
      providers: [
        { kms: { apiVersion: "v2", name: "a", endpoint: "unix:///a", timeout: "3s" } },
        { aescbc: { keys: [{ name: "k", secret }] } },
        { identity: {} },
      ],
    },
  ],
});

test("any bytes are refused with an EncryptionConfigError, or accepted", () => {
  const outcome = (bytes: Uint8Array): void => {
    try {
      decodeEncryptionConfig(bytes, "file");
    } catch (error) {
      expect(error).toBeInstanceOf(EncryptionConfigError);
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), outcome), { numRuns: 200 });
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (index, mask) => {
      const bytes = Uint8Array.from(Buffer.from(good));
      bytes[index] = (bytes[index] ?? 0) ^ mask;
      outcome(bytes);
    }),
    { numRuns: 300 },
  );
});

test("a decoded file does not print its keys", () => {
  const decoded = decodeEncryptionConfig(Buffer.from(good), "file");
  expect(JSON.stringify(decoded)).not.toContain(secret);
  expect(Bun.inspect(decoded, { depth: 10 })).not.toContain(secret);
});
