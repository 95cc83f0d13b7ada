/** The three methods as a gRPC client that is not Connect meets them. */
import { describe, expect, test } from "bun:test";
import { status as code } from "@grpc/grpc-js";
import { ProviderError } from "../../src/base/error-class.ts";
import { MAX_WAITING } from "../../src/kms/admission.ts";
import { failure, keyHandle, kmsClient, LARGEST_PLAINTEXT_BYTES } from "./harness.ts";
import { callsStarted, refused, sealed, servedEachTest } from "./served.ts";

const seed = Buffer.alloc(32, 7);
const active = keyHandle(2);

describe.each(["ours", "connect"] as const)("calls as they should be, gRPC protocol: %s", (protocol) => {
  const served = servedEachTest({ protocol });

  test("Status is answered from memory", async () => {
    expect(await served.client.status()).toMatchObject({ version: "v2", healthz: "ok", keyId: active.keyId });
    expect(served.harness.transit.calls).toBe(0);
  });

  test("what Encrypt made, Decrypt opens", async () => {
    const { ciphertext, keyId, annotations } = await served.client.encrypt({ plaintext: seed, uid: "u1" });
    expect(keyId).toBe(active.keyId);
    expect(Object.keys(annotations).sort()).toEqual(Object.keys(active.annotations.encoded).sort());
    const opened = await served.client.decrypt({ ciphertext, keyId, annotations, uid: "u2" });
    expect(Buffer.from(opened.plaintext)).toEqual(seed);
    expect(
      served.harness.records.map(({ method, status, transitKeyVersion, uid }) => [
        method,
        status,
        transitKeyVersion,
        uid,
      ]),
    ).toEqual([
      ["Encrypt", "OK", 2, "u1"],
      ["Decrypt", "OK", 2, "u2"],
    ]);
  });

  test("the largest plaintext goes through, and 64 calls at once", async () => {
    const plaintext = Buffer.alloc(LARGEST_PLAINTEXT_BYTES, 1);
    const request = await sealed(served, plaintext);
    expect(request.ciphertext.length).toBeLessThanOrEqual(1024);
    const opened = await Promise.all(Array.from({ length: 64 }, () => served.client.decrypt(request)));
    expect(opened.every((each) => Buffer.from(each.plaintext).equals(plaintext))).toBe(true);
  });

  test("errors of the service keep code and text", async () => {
    await refused(served.client.encrypt({}), code.INVALID_ARGUMENT, "plaintext is empty");
    served.harness.keys.override.status = () => ({ kind: "lost", errorClass: "transit_key_missing" });
    await refused(served.client.status(), code.FAILED_PRECONDITION, "the active key version is lost");
    served.harness.keys.override.status = () => ({ kind: "outage", errorClass: "openbao_sealed" });
    await refused(served.client.status(), code.UNAVAILABLE, "OpenBao is unavailable");
  });

  test("Encrypt answers only what was read back", async () => {
    const readBack: string[] = [];
    served.harness.keys.override.confirmEncrypted = async (key, { plaintext, ciphertext }) => {
      readBack.push(`${key.keyId} ${Buffer.from(plaintext).toString("hex")} ${ciphertext}`);
    };
    const { keyId, ciphertext } = await served.client.encrypt({ plaintext: seed });
    expect(readBack).toEqual([`${keyId} ${seed.toString("hex")} ${Buffer.from(ciphertext).toString()}`]);
    served.harness.keys.override.confirmEncrypted = () =>
      Promise.reject(
        new ProviderError({ code: "key_replaced", errorClass: "status_stale", message: "refused" }),
      );
    await refused(
      served.client.encrypt({ plaintext: seed }),
      code.FAILED_PRECONDITION,
      "key state is not fit for this call",
    );
  });

  test("a ciphertext that OpenBao refuses is not blamed while the key is lost", async () => {
    const request = await sealed(served, seed);
    served.harness.transit.override.decrypt = () =>
      Promise.reject(
        new ProviderError({ code: "decrypt_failed", errorClass: "aad_mismatch", message: "refused" }),
      );
    const decrypt = () => failure(served.client.decrypt(request));
    expect((await decrypt())[0]).toBe(code.INVALID_ARGUMENT);
    served.harness.keys.override.status = () => ({ kind: "lost", errorClass: "transit_key_missing" });
    expect(await decrypt()).toEqual([code.FAILED_PRECONDITION, "the active key version is lost"]);
  });

  test("a deadline ends the call and what it does", async () => {
    const aborted = new Promise<unknown>((resolve) => {
      served.harness.transit.override.encrypt = (_input, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => {
            resolve(signal.reason);
            reject(signal.reason);
          });
        });
    });
    const [got] = await failure(served.client.encrypt({ plaintext: seed }, { timeoutMs: 50 }));
    expect(got).toBe(code.DEADLINE_EXCEEDED);
    await aborted;
    await Bun.sleep(5);
    expect(served.harness.records[0]?.failure).toMatchObject({ unexpected: false });
    expect(["timeout", "canceled"]).toContain(served.harness.records[0]?.failure?.errorClass ?? "");
  });
});

describe("more calls than run at the same time", () => {
  const served = servedEachTest({ caps: { Status: 16, Encrypt: 2, Decrypt: 64 } });

  test("those above the cap wait, other methods do not, and none is refused", async () => {
    const release = Promise.withResolvers<void>();
    let underWay = 0;
    let most = 0;
    served.harness.transit.override.encrypt = async () => {
      underWay += 1;
      most = Math.max(most, underWay);
      await release.promise;
      underWay -= 1;
      return "vault:v2:AAAA";
    };
    const held = Array.from({ length: 10 }, () => served.client.encrypt({ plaintext: seed }));
    await callsStarted(served, 10);
    expect(await served.client.status()).toMatchObject({ healthz: "ok" });
    release.resolve();
    await Promise.all(held);
    expect(most).toBe(2);
    const waited = served.harness.records.filter(({ waitedMs }) => waitedMs !== undefined);
    expect(waited.length).toBe(8);
  });

  test("a call that waits ends with its own deadline", async () => {
    const release = Promise.withResolvers<string>();
    served.harness.transit.override.encrypt = () => release.promise;
    const held = [served.client.encrypt({ plaintext: seed }), served.client.encrypt({ plaintext: seed })];
    await callsStarted(served, 2);
    const [late] = await failure(served.client.encrypt({ plaintext: seed }, { timeoutMs: 100 }));
    expect(late).toBe(code.DEADLINE_EXCEEDED);
    release.resolve("vault:v2:AAAA");
    await Promise.all(held);
    served.harness.transit.override = {};
    await served.client.encrypt({ plaintext: seed });
  });

  test("above the bound a call is refused, and Status on the same connection is not", async () => {
    const release = Promise.withResolvers<string>();
    served.harness.transit.override.encrypt = () => release.promise;
    const bound = 2 + MAX_WAITING.Encrypt;
    // A connection has few streams until it has completed a call.
    await served.client.status();
    const held = Array.from({ length: bound }, () => served.client.encrypt({ plaintext: seed }));
    await callsStarted(served, 1 + bound);
    await refused(
      served.client.encrypt({ plaintext: seed }),
      code.RESOURCE_EXHAUSTED,
      "too many calls at once",
    );
    expect(served.harness.records.at(-1)?.failure?.rejection).toEqual({ check: "concurrency" });
    expect(await served.client.status()).toMatchObject({ healthz: "ok" });
    release.resolve("vault:v2:AAAA");
    await Promise.all(held);
  });
});

describe("a connection that fills all places", () => {
  const served = servedEachTest({ caps: { Status: 1, Encrypt: 1, Decrypt: 1 } });

  test("loses one to another connection, whose call runs after one of its own", async () => {
    const release = Promise.withResolvers<void>();
    const ran: (number | undefined)[] = [];
    served.harness.transit.override.encrypt = async ({ plaintext }) => {
      ran.push(plaintext[0]);
      await release.promise;
      return "vault:v2:AAAA";
    };
    const bound = 1 + MAX_WAITING.Encrypt;
    await served.client.status();
    const flood = Array.from({ length: bound }, () => served.client.encrypt({ plaintext: seed }));
    const ends = Promise.allSettled(flood);
    await callsStarted(served, 1 + bound);
    const other = kmsClient(served.harness.path);
    try {
      const call = other.encrypt({ plaintext: Buffer.alloc(32, 9) });
      await callsStarted(served, 1 + bound + 1);
      expect(served.harness.records.flatMap(({ failure: found }) => found?.rejection ?? [])).toEqual([
        { check: "concurrency" },
      ]);
      release.resolve();
      await call;
    } finally {
      other.close();
    }
    expect(ran.indexOf(9)).toBe(2);
    expect((await ends).filter(({ status }) => status === "rejected")).toHaveLength(1);
  });
});

describe("identical Decrypts", () => {
  const served = servedEachTest({ caps: { Status: 1, Encrypt: 8, Decrypt: 1 } });

  test("count once, others with the same key_id do not", async () => {
    const one = await sealed(served, Buffer.alloc(32, 1));
    const other = await sealed(served, Buffer.alloc(32, 2));
    const release = Promise.withResolvers<Uint8Array>();
    const asked: string[] = [];
    served.harness.transit.override.decrypt = ({ ciphertext }) => {
      asked.push(ciphertext);
      return release.promise;
    };
    const before = served.harness.started.length;
    const calls = [one, one, other, one].map((request) => served.client.decrypt(request));
    await callsStarted(served, before + 4);
    await served.client.status();
    expect(asked).toEqual(Array.from({ length: 3 }, () => Buffer.from(one.ciphertext).toString()));
    release.resolve(Buffer.alloc(32));
    await Promise.all(calls);
    expect(asked.at(-1)).toBe(Buffer.from(other.ciphertext).toString());
  });
});

describe("kube-apiserver reads everything anew", () => {
  const served = servedEachTest();
  const SEEDS = 200;
  const CALLERS = 1000;

  test("1,000 callers of 200 ciphertexts: none is refused, Status is answered meanwhile", async () => {
    const stored = await Promise.all(
      Array.from({ length: SEEDS }, async (_, index) => {
        const plaintext = Buffer.alloc(32, index);
        return { plaintext, request: await sealed(served, plaintext) };
      }),
    );
    let underWay = 0;
    let most = 0;
    served.harness.transit.override.decrypt = async ({ ciphertext }) => {
      underWay += 1;
      most = Math.max(most, underWay);
      // As long as a real one takes.
      await Bun.sleep(2);
      underWay -= 1;
      return Buffer.from(ciphertext.slice(9), "base64").subarray(28);
    };
    const timeoutMs = 3000;
    const calls = Array.from({ length: CALLERS }, async (_, index) => {
      const { plaintext, request } = stored[index % SEEDS] ?? { plaintext: seed, request: {} };
      const opened = await served.client.decrypt(request, { timeoutMs });
      expect(Buffer.from(opened.plaintext)).toEqual(plaintext);
    });
    expect((await served.client.status({ timeoutMs })).healthz).toBe("ok");
    const settled = await Promise.allSettled(calls);
    expect(settled.filter(({ status }) => status === "rejected")).toEqual([]);
    // 64 places; identical calls share theirs.
    expect(most).toBeGreaterThan(32);
    expect(new Set(served.harness.records.map(({ status }) => status))).toEqual(new Set(["OK"]));
  });
});
