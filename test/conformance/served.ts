/**
 * A provider and a client of it, made anew for each test.
 *
 * @module Registers the hooks of the file or `describe` that asks for it.
 */
import { afterEach, beforeEach, expect } from "bun:test";
import {
  failure,
  type Harness,
  type HarnessOptions,
  type KmsClient,
  kmsClient,
  startHarness,
} from "./harness.ts";

export interface Served {
  /** Of the test that runs. */
  readonly harness: Harness;
  readonly client: KmsClient;
}

export function servedEachTest(options: HarnessOptions = {}): Served {
  let running: Served | undefined;
  const current = (): Served => {
    if (running === undefined) {
      throw new Error("no test runs");
    }
    return running;
  };
  beforeEach(async () => {
    const harness = await startHarness(options);
    running = { harness, client: kmsClient(harness.path) };
  });
  afterEach(async () => {
    const { harness, client } = current();
    running = undefined;
    client.close();
    await harness.stop();
  });
  return {
    get harness() {
      return current().harness;
    },
    get client() {
      return current().client;
    },
  };
}

/** With short limits for peers that stay silent, and the client's connection open before the test begins. */
export function servedBesideHostilePeers(): Served {
  const served = servedEachTest({
    limits: { handshakeTimeoutMs: 150, firstCallTimeoutMs: 400, requestTimeoutMs: 150 },
  });
  beforeEach(async () => {
    await served.client.status();
  });
  return served;
}

/** What a Decrypt needs of the reply to an Encrypt. */
export async function sealed({ client }: Served, plaintext: Uint8Array) {
  const { ciphertext, keyId, annotations } = await client.encrypt({ plaintext });
  return { ciphertext, keyId, annotations };
}

/** Resolves when this many calls have come in since the harness started. */
export async function callsStarted({ harness }: Served, count: number): Promise<void> {
  while (harness.started.length < count) {
    await Bun.sleep(1);
  }
}

/** The call must fail with this code and this text. */
export async function refused(call: Promise<unknown>, code: number, text: string): Promise<void> {
  expect(await failure(call)).toEqual([code, text]);
}
