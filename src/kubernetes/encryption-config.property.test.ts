import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { decodeEncryptionConfig, EncryptionConfigError } from "./encryption-config.ts";

const good = JSON.stringify({
  apiVersion: "apiserver.config.k8s.io/v1",
  kind: "EncryptionConfiguration",
  resources: [
    {
      resources: ["secrets"],
      providers: [
        { kms: { apiVersion: "v2", name: "a", endpoint: "unix:///a", timeout: "3s" } },
        { aescbc: { keys: [{ name: "k", secret: "CANARY" }] } },
        { identity: {} },
      ],
    },
  ],
});

function outcome(bytes: Uint8Array): void {
  try {
    decodeEncryptionConfig(bytes, "file");
  } catch (error) {
    expect(error).toBeInstanceOf(EncryptionConfigError);
    expect(String(error)).not.toContain("CANARY");
  }
}

test("any bytes are refused with an EncryptionConfigError or accepted, and no key is in the message", () => {
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

test("a good file does not print its keys", () => {
  expect(JSON.stringify(decodeEncryptionConfig(Buffer.from(good), "file"))).not.toContain("CANARY");
  expect(Bun.inspect(decodeEncryptionConfig(Buffer.from(good), "file"), { depth: 10 })).not.toContain(
    "CANARY",
  );
});
