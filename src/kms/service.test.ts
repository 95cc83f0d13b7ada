/** The three methods without a socket: Connect's in-memory transport between its client and the service. */
import { describe, expect, test } from "bun:test";
import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { fakeKeys, fakeTransit, keyHandle } from "../../test/conformance/harness.ts";
import { manualClock } from "../../test/fakes/manual-clock.ts";
import { ProviderError } from "../base/error-class.ts";
import type { KeyHandle } from "../key/rotation/key-handles.ts";
import type { CallRecord, Rejection } from "./call-record.ts";
import { KeyManagementService } from "./gen/v2/api_pb.ts";
import { kmsService } from "./service.ts";

const seed = new Uint8Array(32).fill(7);
const active = keyHandle(2);

function setUp() {
  const keys = fakeKeys();
  const transit = fakeTransit();
  const records: CallRecord[] = [];
  const implementation = kmsService({
    keys,
    transit,
    caps: { Status: 1, Encrypt: 1, Decrypt: 1 },
    clock: manualClock(),
    observer: { started: () => {}, ended: (record) => records.push(record) },
  });
  const client = createClient(
    KeyManagementService,
    createRouterTransport((router) => router.service(KeyManagementService, implementation)),
  );
  const sealed = async () => {
    const { ciphertext, keyId, annotations } = await client.encrypt({ plaintext: seed, uid: "u" });
    records.length = 0;
    return { ciphertext, keyId, annotations, uid: "u" };
  };
  const last = () => records.at(-1);
  return { keys, transit, records, client, sealed, last };
}

async function refusal(call: Promise<unknown>): Promise<readonly [Code | "ok", string]> {
  try {
    await call;
    return ["ok", ""];
  } catch (error) {
    const { code, rawMessage } = ConnectError.from(error);
    return [code, rawMessage];
  }
}

describe("Status", () => {
  test("shows the active key_id", async () => {
    const { client, last } = setUp();
    const { version, healthz, keyId } = await client.status({});
    expect([version, healthz, keyId]).toEqual(["v2", "ok", active.keyId]);
    expect(last()).toMatchObject({ method: "Status", status: "OK", uid: "" });
  });

  test.each([
    ["lost", "transit_key_missing", "active_version_lost", Code.FailedPrecondition],
    ["outage", "openbao_unavailable", "openbao_outage", Code.Unavailable],
    ["none", "openbao_unavailable", "no_key_version", Code.Unavailable],
  ] as const)("of a key state %s fails", async (kind, errorClass, code, expected) => {
    const { client, keys, last } = setUp();
    keys.override.status = () => ({ kind, errorClass });
    expect((await refusal(client.status({})))[0]).toBe(expected);
    expect(last()?.failure).toMatchObject({ code, errorClass });
  });
});

describe("Encrypt", () => {
  test("answers with ciphertext, key_id and annotations of one version, once the key state has confirmed it", async () => {
    const { client, keys, last } = setUp();
    const confirmed: unknown[] = [];
    keys.override.confirmEncrypted = async (key, sealed) => {
      confirmed.push(key.keyId, sealed.ciphertext, [...sealed.plaintext]);
    };
    const reply = await client.encrypt({ plaintext: seed, uid: "uid-1" });
    expect(reply.keyId).toBe(active.keyId);
    expect(reply.annotations).toEqual({ ...active.annotations.encoded });
    const text = new TextDecoder().decode(reply.ciphertext);
    expect(confirmed).toEqual([active.keyId, text, [...seed]]);
    expect(last()).toMatchObject({
      status: "OK",
      uid: "uid-1",
      keyId: active.keyId,
      transitKeyVersion: 2,
      openbaoRequestId: "request-1",
    });
  });

  test("does not answer what the key state does not confirm", async () => {
    const { client, keys } = setUp();
    keys.override.confirmEncrypted = () =>
      Promise.reject(new ProviderError({ code: "x", errorClass: "status_stale", message: "x" }));
    expect((await refusal(client.encrypt({ plaintext: seed })))[0]).toBe(Code.FailedPrecondition);
  });

  test.each([
    [0, "plaintext_empty"],
    [732, "plaintext_too_large"],
  ])("of %p bytes is refused before OpenBao is asked", async (length, code) => {
    const { client, transit, last } = setUp();
    expect((await refusal(client.encrypt({ plaintext: new Uint8Array(length) })))[0]).toBe(
      Code.InvalidArgument,
    );
    expect(last()?.failure?.code).toBe(code);
    expect(transit.calls).toBe(0);
  });

  test.each([
    ["of another version", "vault:v1:AAAA"],
    ["that is none", "AAAA"],
    ["that is not canonical", "vault:v02:AAAA"],
  ])("with a ciphertext %s is answered with an error", async (_, text) => {
    const { client, transit, last } = setUp();
    transit.override.encrypt = async () => text;
    expect((await refusal(client.encrypt({ plaintext: seed })))[0]).toBe(Code.Internal);
    expect(last()?.failure?.code).toBe("reply_out_of_bounds");
  });

  const otherwise = (more: Partial<KeyHandle>): KeyHandle => ({ ...active, ...more });
  const encoded = (annotations: Record<string, Uint8Array>) =>
    otherwise({ annotations: { ...active.annotations, encoded: annotations } });

  test.each([
    ["a key that is no domain name", encoded({ Upper: seed })],
    ["a value that is not UTF-8", encoded({ "a.b": Uint8Array.of(0xff) })],
    ["too many bytes", encoded({ "a.b": new Uint8Array(32_766) })],
    ["a key_id that is too long", otherwise({ keyId: "k".repeat(1025) })],
  ])("never leaves with annotations or a key_id that kube-apiserver refuses: %s", async (_, key) => {
    const { client, keys, last } = setUp();
    keys.override.keyForEncrypt = () => key;
    for (let call = 0; call < 2; call += 1) {
      expect((await refusal(client.encrypt({ plaintext: seed })))[0]).toBe(Code.Internal);
      expect(last()?.failure?.code).toBe("reply_out_of_bounds");
    }
  });
});

describe("Decrypt", () => {
  test("gives the plaintext back", async () => {
    const { client, sealed, last } = setUp();
    expect((await client.decrypt(await sealed())).plaintext).toEqual(seed);
    expect(last()).toMatchObject({
      method: "Decrypt",
      status: "OK",
      uid: "u",
      keyId: active.keyId,
      transitKeyVersion: 2,
      openbaoRequestId: "request-1",
      failure: undefined,
    });
  });

  type Sealed = Awaited<ReturnType<ReturnType<typeof setUp>["sealed"]>>;
  const [annotation = ""] = Object.keys(active.annotations.encoded);
  const highBit = ({ ciphertext }: Sealed) => ciphertext.map((byte, at) => (at === 0 ? byte | 0x80 : byte));
  const changes: readonly [string, (from: Sealed) => Partial<Sealed>, string, Rejection | undefined][] = [
    ["no ciphertext", () => ({ ciphertext: new Uint8Array(0) }), "ciphertext_size", undefined],
    ["1025 bytes", () => ({ ciphertext: new Uint8Array(1025) }), "ciphertext_size", undefined],
    ["no key_id", () => ({ keyId: "" }), "key_id_size", undefined],
    [
      "a key_id that is none of ours",
      () => ({ keyId: "other" }),
      "key_id_malformed",
      { check: "key_id", reason: "malformed" },
    ],
    [
      "an unknown key_id",
      () => ({ keyId: keyHandle(9).keyId }),
      "version_unknown",
      { check: "key_id", reason: "unknown" },
    ],
    ["another text", () => ({ ciphertext: seed }), "ciphertext_not_canonical", undefined],
    [
      "a byte outside of ASCII",
      (from) => ({ ciphertext: highBit(from) }),
      "ciphertext_not_canonical",
      undefined,
    ],
    [
      "a ciphertext of another version",
      () => ({ ciphertext: new TextEncoder().encode(`vault:v1:${"A".repeat(80)}`) }),
      "ciphertext_version_differs",
      { check: "key_id", reason: "version_mismatch" },
    ],
    [
      "no annotations",
      () => ({ annotations: {} }),
      "annotations_refused",
      { check: "associated_data", reason: "missing" },
    ],
    [
      "another value",
      ({ annotations }) => ({ annotations: { ...annotations, [annotation]: seed } }),
      "annotations_refused",
      { check: "associated_data", reason: "disagrees" },
    ],
    [
      "one annotation more",
      ({ annotations }) => ({ annotations: { ...annotations, "a.b": seed } }),
      "annotations_refused",
      { check: "associated_data", reason: "unexpected" },
    ],
    [
      "an annotation that is malformed",
      ({ annotations }) => ({ annotations: { ...annotations, Upper: seed } }),
      "annotations_refused",
      { check: "associated_data", reason: "malformed" },
    ],
    [
      "more annotations than 64",
      ({ annotations }) => ({
        annotations: {
          ...annotations,
          ...Object.fromEntries(Array.from({ length: 64 }, (_, at) => [`a${at}.b`, seed])),
        },
      }),
      "annotations_refused",
      { check: "associated_data", reason: "unexpected" },
    ],
    [
      "too many bytes of annotations",
      () => ({ annotations: { "a.b": new Uint8Array(32_766) } }),
      "annotations_too_large",
      undefined,
    ],
  ];
  test.each(changes)("with %s is refused before OpenBao is asked", async (_, change, code, rejection) => {
    const { client, transit, sealed, last } = setUp();
    const from = await sealed();
    const before = transit.calls;
    expect((await refusal(client.decrypt({ ...from, ...change(from) })))[0]).not.toBe("ok");
    expect(last()?.failure?.code).toBe(code);
    expect(last()?.failure?.rejection).toEqual(rejection);
    expect(transit.calls).toBe(before);
  });

  test("with 64 annotations is compared, and not counted", async () => {
    const { client, sealed, last } = setUp();
    const from = await sealed();
    const more = Array.from({ length: 64 - Object.keys(from.annotations).length }, (_, at) => [
      `A${at}`,
      seed,
    ]);
    await refusal(
      client.decrypt({ ...from, annotations: { ...from.annotations, ...Object.fromEntries(more) } }),
    );
    expect(last()?.failure?.rejection).toEqual({ check: "associated_data", reason: "malformed" });
  });

  test("with a plaintext longer than 1024 bytes is answered with an error", async () => {
    const { client, transit, sealed, last } = setUp();
    const from = await sealed();
    transit.override.decrypt = async () => new Uint8Array(1025);
    expect((await refusal(client.decrypt(from)))[0]).toBe(Code.Internal);
    expect(last()?.failure?.code).toBe("reply_out_of_bounds");
    transit.override.decrypt = async () => new Uint8Array(1024);
    expect((await client.decrypt(from)).plaintext).toHaveLength(1024);
  });

  test.each([
    ["known", "aad_mismatch", Code.InvalidArgument, "refused"],
    ["lost", "aad_mismatch", Code.FailedPrecondition, "active_version_lost"],
    ["lost", "protocol_limit", Code.FailedPrecondition, "active_version_lost"],
    ["lost", "timeout", Code.DeadlineExceeded, "refused"],
    ["none", "aad_mismatch", Code.InvalidArgument, "refused"],
  ] as const)(
    "while the key is %s, a refusal of class %s keeps its code, or is that of the lost key",
    async (kind, errorClass, code, told) => {
      const { client, keys, transit, sealed, last } = setUp();
      const from = await sealed();
      const error = new ProviderError({ code: "refused", errorClass, message: "x" });
      transit.override.decrypt = () => Promise.reject(error);
      if (kind !== "known") {
        keys.override.status = () => ({ kind, errorClass: "transit_key_missing" });
      }
      expect((await refusal(client.decrypt(from)))[0]).toBe(code);
      expect(last()?.failure?.code).toBe(told);
    },
  );

  test("that OpenBao refuses for its associated data says so", async () => {
    const { client, transit, sealed, last } = setUp();
    const from = await sealed();
    transit.override.decrypt = () =>
      Promise.reject(new ProviderError({ code: "decrypt_failed", errorClass: "aad_mismatch", message: "x" }));
    await refusal(client.decrypt(from));
    expect(last()?.failure?.rejection).toEqual({ check: "associated_data", reason: "rejected_by_openbao" });
  });

  test.each([
    ["version_removed", "removed"],
    ["version_rejected", "rejected"],
  ] as const)("of a version %s says so", async (code, reason) => {
    const { client, keys, sealed, last } = setUp();
    const from = await sealed();
    keys.override.keyForDecrypt = () =>
      Promise.reject(new ProviderError({ code, errorClass: "status_stale", message: "x" }));
    expect((await refusal(client.decrypt(from)))[0]).toBe(Code.FailedPrecondition);
    expect(last()).toMatchObject({ keyId: active.keyId, transitKeyVersion: undefined });
    expect(last()?.failure?.rejection).toEqual({ check: "key_id", reason });
  });
});
