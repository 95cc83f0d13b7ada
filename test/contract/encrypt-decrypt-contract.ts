/**
 * @module Encrypt and decrypt, version limits, every spelling of a ciphertext, and several items in one call. A part of
 * openbao.contract.test.ts.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { objectAt, textAt } from "../fakes/openbao/json-at.ts";
import { type OperatorReply } from "../fakes/openbao/operator.ts";
import { type Json, type JsonObject } from "../fakes/openbao/reply.ts";
import { ASSOCIATED, base64, type ContractContext, refused } from "./contract-context.ts";

export function encryptDecryptContract(context: ContractContext): void {
  const { call, asProvider, newKey, encrypt, must } = context;

  describe("encrypt and decrypt", () => {
    test("every version opens its own data after rotations", async () => {
      await newKey("rotated");
      const ciphertexts: string[] = [];
      for (const version of [1, 2, 3]) {
        const { body } = await call("POST", "transit/encrypt/rotated", {
          plaintext: base64(`text ${version}`),
          associated_data: ASSOCIATED,
          key_version: version,
        });
        expect(objectAt(body, "data")["key_version"]).toBe(version);
        ciphertexts.push(textAt(body, "data", "ciphertext"));
        await must("POST", "transit/keys/rotated/rotate", {});
      }
      for (const [index, ciphertext] of ciphertexts.entries()) {
        expect(ciphertext).toStartWith(`vault:v${index + 1}:`);
        const { body } = await call("POST", "transit/decrypt/rotated", {
          ciphertext,
          associated_data: ASSOCIATED,
        });
        expect(objectAt(body, "data")).toEqual({ plaintext: base64(`text ${index + 1}`) });
      }
    });
    test.each<[JsonObject, number, string]>([
      [{}, 400, "missing plaintext to encrypt"],
      [{ plaintext: "###" }, 400, "illegal base64 data at input byte 0"],
      [{ plaintext: "YWE=YWE=" }, 400, "illegal base64 data at input byte 4"],
      [
        { plaintext: "", key_version: 2 },
        400,
        "requested version for encryption is higher than the latest key version",
      ],
      [{ plaintext: "", key_version: -1 }, 400, "requested version for encryption is negative"],
      [
        { plaintext: "", associated_data: "##" },
        500,
        "1 error occurred:\n\t* unable to get associated_data/additional_data from factory[0]: illegal base64 data at input byte 0\n\n",
      ],
    ])("encrypt %j", async (body, status, error) => {
      await refused(asProvider("POST", "transit/encrypt/kubernetes", body), error, status);
    });
    test("a missing key", async () => {
      for (const [path, body] of [
        ["transit/encrypt/missing", { plaintext: "" }],
        ["transit/decrypt/missing", { ciphertext: "vault:v1:AAAA" }],
      ] as const) {
        await refused(call("POST", path, body), "encryption key not found");
      }
    });
    test("versions outside the limits", async () => {
      await newKey("limited", 3);
      const first = await encrypt("limited", { key_version: 1 });
      await must("POST", "transit/keys/limited/config", {
        min_decryption_version: 2,
        min_encryption_version: 3,
      });
      await refused(
        call("POST", "transit/decrypt/limited", { ciphertext: first }),
        "ciphertext or signature version is disallowed by policy (too old)",
      );
      await refused(
        call("POST", "transit/encrypt/limited", { plaintext: "", key_version: 2 }),
        "requested version for encryption is less than the minimum encryption key version",
      );
    });

    describe("spellings of a ciphertext", () => {
      let prefix: string;
      let rest: string;
      const open = (ciphertext: string): Promise<OperatorReply> =>
        asProvider("POST", "transit/decrypt/kubernetes", { ciphertext, associated_data: ASSOCIATED });
      beforeAll(async () => {
        const ciphertext = await encrypt("kubernetes", { associated_data: ASSOCIATED });
        prefix = "vault:v1:";
        rest = ciphertext.slice(prefix.length);
      });
      test.each<[string, (data: string) => string]>([
        ["canonical", (data) => `vault:v1:${data}`],
        ["version 0", (data) => `vault:v0:${data}`],
        ["leading zero", (data) => `vault:v01:${data}`],
        ["sign", (data) => `vault:v+1:${data}`],
        ["line break", (data) => `vault:v1:${data.slice(0, 8)}\r\n${data.slice(8)}`],
        ["line break at the end", (data) => `vault:v1:${data}\n`],
      ])("opens: %s", async (_, spell) => {
        expect((await open(spell(rest))).status).toBe(200);
      });
      test.each<[string, (data: string) => string, string]>([
        ["empty", () => "", "missing ciphertext to decrypt"],
        ["no prefix", (data) => data, "invalid ciphertext: no prefix"],
        ["upper case", (data) => `vault:V1:${data}`, "invalid ciphertext: no prefix"],
        ["one field", (data) => `vault:v1${data}`, "invalid ciphertext: wrong number of fields"],
        ["no number", (data) => `vault:v:${data}`, "invalid ciphertext: version number could not be decoded"],
        [
          "fraction",
          (data) => `vault:v1.0:${data}`,
          "invalid ciphertext: version number could not be decoded",
        ],
        ["too new", (data) => `vault:v2:${data}`, "invalid ciphertext: version is too new"],
        [
          "negative",
          (data) => `vault:v-1:${data}`,
          "ciphertext or signature version is disallowed by policy (too old)",
        ],
        ["blank", (data) => `vault:v1: ${data}`, "invalid ciphertext: could not decode base64"],
        ["excess padding", (data) => `vault:v1:${data}=`, "invalid ciphertext: could not decode base64"],
        ["short", () => "vault:v1:AAAA", "invalid ciphertext length"],
        ["no tag", () => `vault:v1:${base64("x".repeat(12))}`, "cipher: message authentication failed"],
        [
          "flipped",
          (data) => `vault:v1:${data.startsWith("A") ? "B" : "A"}${data.slice(1)}`,
          "cipher: message authentication failed",
        ],
      ])("refuses: %s", async (_, spell, error) => {
        await refused(open(spell(rest)), error);
      });
      test("other associated data", async () => {
        await refused(
          asProvider("POST", "transit/decrypt/kubernetes", { ciphertext: prefix + rest }),
          "cipher: message authentication failed",
        );
      });
    });
  });
}

export function batchContract(context: ContractContext): void {
  const { asProvider, encrypt } = context;

  describe("batch_input", () => {
    const results = ({ body }: OperatorReply): Json | undefined => objectAt(body, "data")["batch_results"];
    test("all good", async () => {
      const reply = await asProvider("POST", "transit/encrypt/kubernetes", {
        batch_input: [
          { plaintext: base64("a"), associated_data: ASSOCIATED, key_version: 1, reference: "first" },
          { plaintext: base64("b") },
        ],
      });
      expect(reply.status).toBe(200);
      expect(results(reply)).toEqual([
        { ciphertext: expect.stringMatching(/^vault:v1:/), key_version: 1, reference: "first" },
        { ciphertext: expect.stringMatching(/^vault:v1:/), key_version: 1, reference: "" },
      ]);
    });
    test("a mixed reply is 400 and holds each item's result", async () => {
      const ciphertext = await encrypt("kubernetes", { associated_data: ASSOCIATED });
      const reply = await asProvider("POST", "transit/decrypt/kubernetes", {
        batch_input: [
          { ciphertext, associated_data: ASSOCIATED },
          { ciphertext },
          { ciphertext: "vault:v99:AAAA", reference: "late" },
        ],
      });
      expect(reply.status).toBe(400);
      expect(results(reply)).toEqual([
        { plaintext: base64("hello"), reference: "" },
        { plaintext: "", error: "cipher: message authentication failed", reference: "" },
        { plaintext: "", error: "invalid ciphertext: version is too new", reference: "late" },
      ]);
    });
    test("an item with undecodable associated data makes it 500", async () => {
      const reply = await asProvider("POST", "transit/encrypt/kubernetes", {
        batch_input: [{ plaintext: "", associated_data: "##" }, { plaintext: "" }],
      });
      expect(reply.status).toBe(500);
      expect(results(reply)).toMatchObject([{ error: expect.any(String) }, { key_version: 1 }]);
    });
    test.each<[string, Json, number, string]>([
      ["empty", [], 400, "missing batch input to process"],
      [
        "an item without plaintext",
        [{ plaintext: "" }, {}],
        500,
        "1 error occurred:\n\t* failed to parse batch input: '[1].plaintext' missing plaintext to encrypt\n\n",
      ],
    ])("%s", async (_, batch, status, error) => {
      await refused(asProvider("POST", "transit/encrypt/kubernetes", { batch_input: batch }), error, status);
    });
  });
}
