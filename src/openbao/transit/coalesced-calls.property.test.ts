import { expect, test } from "bun:test";
import fc from "fast-check";
import { inProcessOpenBao } from "../../../test/fakes/in-process-openbao.ts";
import { faults } from "../../../test/fakes/openbao/faults.ts";
import { ProviderError } from "../../base/error-class.ts";
import { Secret } from "../../base/secret.ts";
import { createTransitClient } from "./client.ts";
import { coalescedCalls } from "./coalesced-calls.ts";

const AAD = btoa("associated");
const never = new AbortController().signal;

async function setUp() {
  const bao = await inProcessOpenBao();
  const { fake, openbao, names } = bao;
  const single = createTransitClient(
    { call: (call) => openbao.call({ ...call, token: new Secret(fake.rootToken) }) },
    { mountPath: names.mount, keyName: names.keyName },
  );
  return {
    ...bao,
    single,
    coalesced: coalescedCalls(single.calls),
    keyPath: `${names.mount}/keys/${names.keyName}`,
  };
}

const valueOf = async <T>(answer: Promise<{ readonly value: T }>): Promise<T> => (await answer).value;

/** What a caller sees: the plaintext, or the code and class of the error. */
async function seen(call: Promise<Uint8Array>): Promise<string> {
  try {
    return Buffer.from(await call).toString("hex");
  } catch (error) {
    return error instanceof ProviderError ? `${error.code} ${error.errorClass}` : "unexpected";
  }
}

test("every caller sees what the uncoalesced client would have shown it, poisoned neighbours or not", async () => {
  const { single, coalesced, operator, keyPath } = await setUp();
  await operator.must("POST", `${keyPath}/rotate`, {});
  const plaintexts = Array.from({ length: 6 }, (_, index) => new Uint8Array(32).fill(index));
  const good = await Promise.all(
    plaintexts.map((plaintext, index) =>
      single.encrypt({ plaintext, associatedData: AAD, keyVersion: 1 + (index % 2) }, never),
    ),
  );
  const first = good[0] ?? "";
  const inputs = [
    ...good.map((ciphertext) => ({ ciphertext, associatedData: AAD })),
    { ciphertext: first, associatedData: btoa("other") },
    { ciphertext: first.replace(/.{4}$/, "AAA="), associatedData: AAD },
    { ciphertext: "vault:v1:AAAA", associatedData: AAD },
    { ciphertext: first.replace("v1", "v2"), associatedData: AAD },
    { ciphertext: "not canonical", associatedData: AAD },
  ];
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat({ max: inputs.length - 1 }), { minLength: 1, maxLength: 40 }),
      async (order) => {
        const asked = order.map((index) => inputs[index] ?? { ciphertext: "", associatedData: "" });
        const together = await Promise.all(
          asked.map((input) => seen(valueOf(coalesced.decrypt(input, never)))),
        );
        const alone: string[] = [];
        for (const input of asked) {
          alone.push(await seen(single.decrypt(input, never)));
        }
        expect(together).toEqual(alone);
      },
    ),
    { numRuns: 60 },
  );
});

test("concurrent calls share requests, identical Decrypts share one item", async () => {
  const { fake, coalesced } = await setUp();
  const plaintext = new Uint8Array(32);
  const ciphertexts = await Promise.all(
    Array.from({ length: 20 }, () =>
      coalesced.encrypt({ plaintext, associatedData: AAD, keyVersion: 1 }, never),
    ),
  );
  const before = fake.calls.length;
  await Promise.all(
    [...ciphertexts, ...ciphertexts].map(({ value: ciphertext }) =>
      coalesced.decrypt({ ciphertext, associatedData: AAD }, never),
    ),
  );
  expect(fake.calls.length - before).toBeLessThanOrEqual(4);
});

test.each([
  ["sealed", faults.sealed, "openbao_sealed"],
  ["403", faults.denied, "transit_policy_denied"],
  ["500", faults.internalError, "openbao_unavailable"],
] as const)(
  "%s: all of a batch see it, and nothing is asked again for each",
  async (_, fault, errorClass) => {
    const { fake, coalesced, single } = await setUp();
    const ciphertext = await single.encrypt(
      { plaintext: new Uint8Array(32), associatedData: AAD, keyVersion: 1 },
      never,
    );
    fake.inject(fault);
    const before = fake.calls.length;
    const outcomes = await Promise.all(
      Array.from({ length: 30 }, (__, index) =>
        seen(valueOf(coalesced.decrypt({ ciphertext, associatedData: btoa(`aad ${index}`) }, never))),
      ),
    );
    expect(new Set(outcomes.map((each) => each.split(" ")[1]))).toEqual(new Set([errorClass]));
    expect(fake.calls.length - before).toBeLessThan(10);
  },
);

test("a poisoned item costs its neighbours no further request, and each answer says where it is logged", async () => {
  const { fake, coalesced, single } = await setUp();
  const plaintext = new Uint8Array(32);
  const ciphertext = await single.encrypt({ plaintext, associatedData: AAD, keyVersion: 1 }, never);
  const other = await single.encrypt({ plaintext, associatedData: AAD, keyVersion: 1 }, never);
  const third = await single.encrypt({ plaintext, associatedData: AAD, keyVersion: 1 }, never);
  const before = fake.calls.length;
  // While it is in progress, the others gather.
  const first = coalesced.decrypt({ ciphertext, associatedData: AAD }, never);
  const calls = [btoa("wrong 1"), btoa("wrong 2"), AAD, btoa("wrong 3")].map((associatedData) =>
    coalesced.decrypt({ ciphertext: associatedData === AAD ? third : ciphertext, associatedData }, never),
  );
  const last = coalesced.decrypt({ ciphertext: other, associatedData: AAD }, never);
  const settled = await Promise.allSettled(calls);
  expect(settled.map(({ status }) => status)).toEqual(["rejected", "rejected", "fulfilled", "rejected"]);
  expect(fake.calls.length - before).toBe(2);
  expect(await first).not.toHaveProperty("batchIndex");
  expect(await last).toMatchObject({ requestId: expect.any(String), batchIndex: 4 });
});
