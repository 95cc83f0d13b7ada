import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Harness, startHarness } from "../../test/conformance/harness.ts";
import { ProviderError } from "../base/error-class.ts";
import { type KmsClient, KmsClientError, openKmsClient } from "./client.ts";

const never = new AbortController().signal;
let harness: Harness;
let client: KmsClient;
const open = (socketPath: string, timeoutMs = 5000): KmsClient =>
  openKmsClient({ socketPath, timeoutMs, uid: () => "uid-1" });

beforeAll(async () => {
  harness = await startHarness();
  client = open(harness.path);
});
afterAll(async () => {
  client.close();
  await harness.stop();
});

async function failure(call: Promise<unknown>): Promise<KmsClientError> {
  const error: unknown = await call.catch((each: unknown) => each);
  if (!(error instanceof KmsClientError)) {
    throw new TypeError(`not a KmsClientError: ${Bun.inspect(error)}`);
  }
  return error;
}

test("the three methods give what the provider answers", async () => {
  const { version, healthz, keyId } = await client.status(never);
  expect([version, healthz]).toEqual(["v2", "ok"]);
  const plaintext = new Uint8Array(32).fill(5);
  const sealed = await client.encrypt(plaintext, never);
  expect(sealed.keyId).toBe(keyId);
  expect(new Uint8Array(await client.decrypt(sealed, never))).toEqual(plaintext);
  expect(harness.records.map(({ method, uid }) => [method, uid])).toEqual([
    ["Status", ""],
    ["Encrypt", "uid-1"],
    ["Decrypt", "uid-1"],
  ]);
});

describe("a call that fails", () => {
  test("because the provider refuses it says with which code", async () => {
    harness.keys.override.status = () => ({ kind: "lost", errorClass: "transit_key_missing" });
    const error = await failure(client.status(never));
    harness.keys.override = {};
    expect(error).toMatchObject({
      code: "call_refused",
      errorClass: "unknown",
      grpcCode: "FailedPrecondition",
    });
    expect(error).toBeInstanceOf(ProviderError);
  });

  test("because time is up, or its caller gave up", async () => {
    const held = Promise.withResolvers<string>();
    harness.transit.override = { encrypt: () => held.promise };
    const hurried = open(harness.path, 50);
    expect(await failure(hurried.encrypt(new Uint8Array(32), never))).toMatchObject({
      code: "call_timeout",
      errorClass: "timeout",
      grpcCode: "DeadlineExceeded",
    });
    hurried.close();
    const stop = new AbortController();
    const call = failure(client.encrypt(new Uint8Array(32), stop.signal));
    stop.abort();
    expect(await call).toMatchObject({ code: "call_refused", errorClass: "canceled", grpcCode: "Canceled" });
    held.resolve("vault:v2:AAAA");
    harness.transit.override = {};
  });

  const socketFailure = async (path: string): Promise<KmsClientError> => {
    const own = open(path);
    try {
      return await failure(own.status(never));
    } finally {
      own.close();
    }
  };

  test("because of the socket says what is wrong with it", async () => {
    const file = join(harness.directory, "file");
    writeFileSync(file, "");
    expect(await socketFailure(join(harness.directory, "none"))).toMatchObject({
      code: "socket_missing",
      errorClass: "socket_unavailable",
      grpcCode: undefined,
    });
    expect(await socketFailure(file)).toMatchObject({ code: "socket_not_listening" });
    expect(await socketFailure(join(harness.directory, "x".repeat(200)))).toMatchObject({
      code: "socket_failed",
      errorClass: "socket_unavailable",
    });
  });
});
