import { expect, test } from "bun:test";
import type { KmsCiphertext, KmsClient, KmsStatus } from "../../kms/client.ts";
import { runChecks } from "../check.ts";
import { PROBE_CHECKS, type ProbeContext } from "./checks.ts";

const seed = (bytes: number): Uint8Array => Buffer.alloc(bytes, 7);
const good: KmsStatus = { version: "v2", healthz: "ok", keyId: "k" };
const refused = (): never => {
  throw new Error("refused");
};

interface Answers {
  readonly status?: () => KmsStatus;
  readonly encrypt?: (plaintext: Uint8Array) => KmsCiphertext;
  readonly decrypt?: (sealed: KmsCiphertext) => Uint8Array;
  readonly expectedKeyId?: string;
}

/** `id status codes` of each check; each call takes 5 ms. */
async function probe(answers: Answers) {
  const { status = () => good, expectedKeyId } = answers;
  const { encrypt = (plaintext) => ({ keyId: "k", ciphertext: plaintext, annotations: {} }) } = answers;
  const { decrypt = ({ ciphertext }) => ciphertext } = answers;
  let nowMs = 0;
  const client: KmsClient = {
    status: async () => status(),
    encrypt: async (plaintext) => encrypt(plaintext),
    decrypt: async (sealed) => decrypt(sealed),
    close: () => {},
  };
  const context: ProbeContext = {
    client,
    expectedKeyId,
    random: seed,
    monotonicMs: () => (nowMs += 5),
    took: {},
  };
  const results = await runChecks(PROBE_CHECKS, context, new AbortController().signal);
  const told = results.map((each) => [each.status, ...each.findings.map(({ code }) => code)].join(" "));
  return { told, took: context.took, details: results.map(({ detail }) => detail) };
}

const PASSED = ["passed", "passed", "passed", "passed"];
const SKIPPED = ["failed unexpected", "skipped", "skipped", "skipped"];
const lengthened =
  (change: number) =>
  ({ ciphertext }: KmsCiphertext) =>
    seed(ciphertext.length + change);

test.each<[string, Answers, readonly string[]]>([
  ["a provider that is well", {}, PASSED],
  ["the expected key_id", { expectedKeyId: "k" }, PASSED],
  ["another key_id", { expectedKeyId: "other" }, PASSED.with(1, "failed key_id_differs")],
  [
    "another protocol",
    { status: () => ({ ...good, version: "v1beta1" }) },
    PASSED.with(0, "failed not_kms_v2"),
  ],
  ["not well", { status: () => ({ ...good, healthz: "no" }) }, PASSED.with(0, "failed not_healthy")],
  ["no Status", { status: refused }, SKIPPED],
  ["no Status, with an expected key_id", { status: refused, expectedKeyId: "k" }, SKIPPED],
  ["no Encrypt", { encrypt: refused }, ["passed", "passed", "failed unexpected", "skipped"]],
  [
    "a promotion in between",
    { encrypt: (ciphertext) => ({ keyId: "new", ciphertext, annotations: {} }) },
    PASSED.with(2, "warning promoted_meanwhile"),
  ],
  ["no Decrypt", { decrypt: refused }, PASSED.with(3, "failed unexpected")],
  ["other bytes", { decrypt: () => Buffer.alloc(32, 8) }, PASSED.with(3, "failed round_trip_differs")],
  ["fewer bytes", { decrypt: lengthened(-1) }, PASSED.with(3, "failed round_trip_differs")],
  ["more bytes", { decrypt: lengthened(1) }, PASSED.with(3, "failed round_trip_differs")],
])("%s", async (_, answers, expected) => {
  expect((await probe(answers)).told).toEqual([...expected]);
});

test("a seed is sent, and each call is timed", async () => {
  const { took, details } = await probe({});
  expect(took).toEqual({ "probe.status": 5, "probe.encrypt": 5, "probe.decrypt": 5 });
  expect(details).toEqual(["ok in 5.0 ms", "k", "32 bytes in 5.0 ms", "in 5.0 ms"]);
});
