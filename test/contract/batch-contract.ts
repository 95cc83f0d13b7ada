/**
 * Several items in one call.
 *
 * @module A part of openbao-contract.ts.
 */
import { describe, expect, test } from "bun:test";
import { objectAt } from "../fakes/openbao/json-at.ts";
import type { OperatorReply } from "../fakes/openbao/operator.ts";
import type { Json } from "../fakes/openbao/reply.ts";
import { ASSOCIATED, base64, type ContractContext } from "./contract-context.ts";

export function batchContract(context: ContractContext): void {
  const { asProvider, errorsOf, encrypt } = context;

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
      const reply = await asProvider("POST", "transit/encrypt/kubernetes", { batch_input: batch });
      expect([reply.status, errorsOf(reply)]).toEqual([status, [error]]);
    });
  });
}
