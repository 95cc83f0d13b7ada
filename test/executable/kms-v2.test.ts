/** The KMS v2 contract over the socket of the compiled executable, with a gRPC client that is not Connect. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createConnection } from "node:net";
import type { EncryptResponse } from "../../src/kms/gen/v2/api_pb.ts";
import { makeFakeOpenBao } from "../fakes/openbao/fake-openbao.ts";
import { faults } from "../fakes/openbao/faults.ts";
import { eventually } from "../harness/eventually.ts";
import { codeOf } from "../harness/kms-client.ts";
import type { Provider } from "../harness/provider.ts";
import { type ProviderOnStandIn, startOnStandIn } from "./provider-on-stand-in.ts";

const openbao = makeFakeOpenBao();
let stage: ProviderOnStandIn;
let provider: Provider;
let sample: EncryptResponse;
const seed = new Uint8Array(randomBytes(32));

const transitCalls = (): number => openbao.calls.filter(({ path }) => /\/(en|de)crypt\//.test(path)).length;
const decryptOf = (changes: Partial<EncryptResponse>): Promise<string> =>
  codeOf(provider.client.decrypt({ ...sample, ...changes }));

beforeAll(async () => {
  stage = await startOnStandIn(
    {
      status: { probeInterval: "1h", deepProbeInterval: "1h", statusMaxStaleness: "2h" },
      server: { maxConcurrentDecrypt: 4 },
    },
    openbao,
  );
  ({ provider } = stage);
  sample = await provider.client.encrypt(seed);
}, 60_000);
afterAll(async () => {
  await stage.dispose();
});

describe("Status", () => {
  test("version, health and key_id", async () => {
    expect(await provider.client.status()).toMatchObject({
      version: "v2",
      healthz: "ok",
      keyId: expect.stringMatching(/^obk2\.[\w-]{43}$/),
    });
  });
  test("comes from memory", async () => {
    const before = openbao.calls.length;
    await Promise.all(Array.from({ length: 16 }, () => provider.client.status()));
    expect(openbao.calls.length).toBe(before);
  });
});

describe("Encrypt and Decrypt", () => {
  test("round trip", async () => {
    expect((await provider.client.decrypt(sample)).plaintext).toEqual(seed);
  });
  test("the reply agrees with Status and keeps kube-apiserver's limits", async () => {
    expect(sample.keyId).toBe((await provider.client.status()).keyId);
    expect(Buffer.from(sample.ciphertext).toString()).toMatch(/^vault:v1:[A-Za-z0-9+/]+=*$/);
    expect(sample.ciphertext.length).toBeWithin(1, 1025);
    expect(Object.keys(sample.annotations).every((key) => /^[a-z0-9-]+(\.[a-z0-9-]+)+$/.test(key))).toBe(
      true,
    );
  });
  test("the longest plaintext that fits", async () => {
    const longest = new Uint8Array(randomBytes(731));
    const reply = await provider.client.encrypt(longest);
    expect(reply.ciphertext.length).toBeLessThanOrEqual(1024);
    expect((await provider.client.decrypt(reply)).plaintext).toEqual(longest);
  });
});

describe("what is refused before OpenBao is called", () => {
  const text = (ciphertext: Uint8Array): string => Buffer.from(ciphertext).toString();
  const respelled = (change: (text: string) => string): Partial<EncryptResponse> => ({
    ciphertext: new Uint8Array(Buffer.from(change(text(sample.ciphertext)))),
  });
  test.each<[string, () => Partial<EncryptResponse>, string]>([
    ["empty ciphertext", () => ({ ciphertext: new Uint8Array() }), "INVALID_ARGUMENT"],
    ["long ciphertext", () => ({ ciphertext: new Uint8Array(1025) }), "INVALID_ARGUMENT"],
    ["version 0", () => respelled((each) => each.replace("v1", "v0")), "INVALID_ARGUMENT"],
    ["leading zero", () => respelled((each) => each.replace("v1", "v01")), "INVALID_ARGUMENT"],
    ["sign", () => respelled((each) => each.replace("v1", "v+1")), "INVALID_ARGUMENT"],
    ["line break", () => respelled((each) => `${each}\n`), "INVALID_ARGUMENT"],
    ["another version", () => respelled((each) => each.replace("v1", "v2")), "INVALID_ARGUMENT"],
    ["empty key_id", () => ({ keyId: "" }), "INVALID_ARGUMENT"],
    ["long key_id", () => ({ keyId: "x".repeat(1025) }), "INVALID_ARGUMENT"],
    ["malformed key_id", () => ({ keyId: "obk1.x" }), "INVALID_ARGUMENT"],
    ["unknown key_id", () => ({ keyId: "obk2.ig7zS9_yvQrdlcvWgJUhA5q_fQYupc5jRX5MzhAMQSk" }), "NOT_FOUND"],
    ["no annotations", () => ({ annotations: {} }), "INVALID_ARGUMENT"],
    ["huge annotations", () => ({ annotations: { "a.b": new Uint8Array(33_000) } }), "INVALID_ARGUMENT"],
  ])("Decrypt with %s", async (_, changes, code) => {
    const before = transitCalls();
    expect(await decryptOf(changes())).toBe(code);
    expect(transitCalls()).toBe(before);
  });
  test("Decrypt with any annotation missing, changed or added", async () => {
    const before = transitCalls();
    for (const key of Object.keys(sample.annotations)) {
      const { [key]: _, ...rest } = sample.annotations;
      expect(await decryptOf({ annotations: rest })).toBe("INVALID_ARGUMENT");
      const changed = { ...sample.annotations, [key]: new Uint8Array(Buffer.from("x y")) };
      expect(await decryptOf({ annotations: changed })).toBe("INVALID_ARGUMENT");
    }
    const added = { ...sample.annotations, "extra.kms.openbao.org": new Uint8Array(1) };
    expect(await decryptOf({ annotations: added })).toBe("INVALID_ARGUMENT");
    expect(transitCalls()).toBe(before);
  });
  test.each([
    ["no plaintext", 0],
    ["a plaintext whose ciphertext would be too long", 732],
  ])("Encrypt with %s", async (_, bytes) => {
    const before = transitCalls();
    expect(await codeOf(provider.client.encrypt(new Uint8Array(bytes)))).toBe("INVALID_ARGUMENT");
    expect(transitCalls()).toBe(before);
  });
  test("a plugin-version of another release passes", async () => {
    const annotations = {
      ...sample.annotations,
      "plugin-version.kms.openbao.org": new Uint8Array(Buffer.from("v9.9.9-go")),
    };
    expect(await decryptOf({ annotations })).toBe("OK");
  });
  test("a flipped bit in the ciphertext", async () => {
    const ciphertext = new Uint8Array(sample.ciphertext);
    const at = ciphertext.length - 12;
    ciphertext[at] = ciphertext[at] === 65 ? 66 : 65;
    expect(await decryptOf({ ciphertext })).toBe("INVALID_ARGUMENT");
  });
});

describe("the protocol", () => {
  test.each([
    ["an unknown method", "Nothing", new Uint8Array(), "UNIMPLEMENTED"],
    ["a message that is no protobuf", "Decrypt", new Uint8Array([0xff, 0xff, 0xff]), "INVALID_ARGUMENT"],
    ["a message above 64 KiB", "Encrypt", new Uint8Array(65_537), "RESOURCE_EXHAUSTED"],
  ])("%s", async (_, method, message, code) => {
    expect(await codeOf(provider.client.raw(method, message))).toBe(code);
  });
  test("calls above the cap wait for their turn and are answered", async () => {
    const remove = openbao.inject(faults.slow(200), { path: /decrypt/ });
    const codes = await Promise.all(Array.from({ length: 12 }, () => decryptOf({})));
    remove();
    expect(new Set(codes)).toEqual(new Set(["OK"]));
  });
  test("the client's deadline and cancellation reach OpenBao's call", async () => {
    const remove = openbao.inject(faults.hang, { path: /decrypt/ });
    expect(await codeOf(provider.client.decrypt(sample, { timeoutMs: 100 }))).toBe("DEADLINE_EXCEEDED");
    const signal = AbortSignal.timeout(50);
    expect(await codeOf(provider.client.decrypt(sample, { signal }))).toBe("CANCELLED");
    remove();
    // All four places are free again: nothing waits for a call whose caller has gone.
    await eventually("a Decrypt succeeds", async () => (await decryptOf({})) === "OK", {
      timeoutMs: 5000,
    });
  });
  test.each([
    ["garbage", "\u0000\u0001garbage that is not HTTP at all\r\n\r\n"],
    [
      "HTTP/1.1",
      "POST /v2.KeyManagementService/Status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
    ],
    ["a preface and nothing after it", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
  ])("%s on one connection disturbs no other", async (_, bytes) => {
    const socket = createConnection(provider.socketPath);
    socket.on("error", () => {});
    await once(socket, "connect");
    socket.write(bytes);
    expect((await provider.client.status()).healthz).toBe("ok");
    expect(await decryptOf({})).toBe("OK");
    socket.destroy();
  });
  test("400 idle connections disturb no caller", async () => {
    const sockets = Array.from({ length: 400 }, () =>
      createConnection(provider.socketPath).on("error", () => {}),
    );
    expect(await decryptOf({})).toBe("OK");
    for (const socket of sockets) {
      socket.destroy();
    }
    expect(await decryptOf({})).toBe("OK");
  });
});

test("errors carry a constant text and nothing of OpenBao's", async () => {
  const remove = openbao.inject(
    { kind: "reply", status: 500, body: '{"errors":["CANARY from afar"]}', headers: {} },
    { path: /encrypt/ },
  );
  const message = await provider.client.encrypt(seed).then(
    () => "",
    (error: Error) => error.message,
  );
  remove();
  expect(message).not.toContain("CANARY");
  expect(provider.output()).not.toContain("CANARY");
});
