/**
 * @module Observing a provider while something is wrong. Waits and samples that the real suites share; each says what it
 * waited for.
 */
import type { EncryptResponse } from "../../src/kms/gen/v2/api_pb.ts";
import { eventually } from "./eventually.ts";
import { codeOf } from "./kms-client.ts";
import type { Provider } from "./provider.ts";

const PATIENCE_MS = 20_000;

async function untilHealthz(
  provider: Provider,
  wanted: (healthz: string) => boolean,
  timeoutMs: number = PATIENCE_MS,
): Promise<string> {
  return eventually(
    "Status changes its healthz",
    async () => {
      const { healthz } = await provider.client.status();
      return wanted(healthz) ? healthz : undefined;
    },
    { timeoutMs },
  );
}

export async function untilOk(provider: Provider, timeoutMs?: number): Promise<void> {
  await untilHealthz(provider, (healthz) => healthz === "ok", timeoutMs);
}

export async function untilNotOk(provider: Provider, timeoutMs?: number): Promise<string> {
  return untilHealthz(provider, (healthz) => healthz !== "ok", timeoutMs);
}

export async function untilStatusCode(
  provider: Provider,
  code: string,
  timeoutMs = PATIENCE_MS,
): Promise<void> {
  await eventually(
    `Status answers gRPC code ${code}`,
    async () => (await codeOf(provider.client.status())) === code,
    {
      timeoutMs,
    },
  );
}

export async function untilKeyIdChanges(provider: Provider, before: string): Promise<string> {
  return eventually(
    "the key_id changes",
    async () => {
      const { keyId } = await provider.client.status();
      return keyId === before ? undefined : keyId;
    },
    { timeoutMs: PATIENCE_MS },
  );
}

/** Whether a Decrypt of what was encrypted gives the plaintext again. */
export async function opens(
  provider: Provider,
  { ciphertext, keyId, annotations }: EncryptResponse,
  plaintext: Uint8Array,
): Promise<boolean> {
  const reply = await provider.client.decrypt({ ciphertext, keyId, annotations });
  return Buffer.compare(reply.plaintext, plaintext) === 0;
}
