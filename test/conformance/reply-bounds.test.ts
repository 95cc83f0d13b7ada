/** A reply that kube-apiserver would refuse never leaves the provider. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { KmsClientError, openKmsClient } from "../../src/kms/client.ts";
import { type Harness, keyHandle, startHarness } from "./harness.ts";

let provider: Harness;
beforeAll(async () => {
  provider = await startHarness();
});
afterAll(() => provider.stop());

test("annotations that are too large", async () => {
  const key = keyHandle(2);
  let confirmed = 0;
  const encoded = { "big.example.org": new Uint8Array(33_000).fill(65) };
  provider.keys.override = {
    keyForEncrypt: () => ({ ...key, annotations: { ...key.annotations, encoded } }),
    confirmEncrypted: async () => {
      confirmed += 1;
    },
  };
  const client = openKmsClient({ socketPath: provider.path, timeoutMs: 5000, uid: () => "u" });
  const outcome = await client
    .encrypt(new Uint8Array(32), new AbortController().signal)
    .catch((error: unknown) => (error instanceof KmsClientError ? error.grpcCode : error));
  client.close();
  provider.keys.override = {};
  expect(outcome).toBe("Internal");
  expect(confirmed).toBe(0);
});
