import { describe, expect, test } from "bun:test";
import { keyCall } from "./key-call.ts";
import { decryption } from "./wire-format.ts";

const CIPHERTEXT = `vault:v1:${Buffer.alloc(60, 3).toString("base64")}`;
const PLAINTEXT = Buffer.alloc(32, 7).toString("base64");
const input = { ciphertext: CIPHERTEXT, associatedData: "" };
const never = new AbortController().signal;

/** A batch of as many Decrypts as there are items, answered with those items; a Decrypt asked alone is answered with a plaintext. */
async function decrypted(items: readonly unknown[], asked = items.length): Promise<readonly string[]> {
  const { batch } = keyCall(decryption, { mountPath: "transit", keyName: "key" }, ({ body = "" }) =>
    Promise.resolve({
      status: 200,
      data: body.includes("batch_input") ? { batch_results: items } : { plaintext: PLAINTEXT },
      auth: undefined,
      requestId: "id",
      date: null,
    }),
  );
  const outcomes = await batch(
    Array.from({ length: asked }, () => input),
    never,
  );
  return outcomes.map((outcome) => {
    if (outcome.ok) {
      return outcome.value.batchIndex === undefined ? "asked alone" : `item ${outcome.value.batchIndex}`;
    }
    return outcome.error instanceof Error && "code" in outcome.error ? String(outcome.error.code) : "?";
  });
}

test.each([0, 1, 3])("%i results for two items are no answer", async (results) => {
  const items = Array.from({ length: results }, () => ({ plaintext: PLAINTEXT }));
  await expect(decrypted(items, 2)).rejects.toMatchObject({ code: "reply_malformed" });
});

describe("each item of a batch", () => {
  const good = { plaintext: PLAINTEXT };

  test.each<[string, unknown, string]>([
    ["a result", good, "item 1"],
    ["a result with an empty error", { ...good, error: "" }, "item 1"],
    ["refused", { error: "cipher: message authentication failed" }, "decrypt_failed"],
    ["another error", { error: "something else" }, "asked alone"],
    ["an error that is not a text", { ...good, error: 5 }, "reply_malformed"],
    ["an error that is null", { ...good, error: null }, "reply_malformed"],
    ["nothing", {}, "reply_malformed"],
    ["a plaintext that is not base64", { plaintext: "?" }, "reply_malformed"],
    ["a text", "plaintext", "reply_malformed"],
    ["a list", [good], "reply_malformed"],
    ["null", null, "reply_malformed"],
  ])("%s harms no other item", async (_name, item, expected) => {
    expect(await decrypted([good, item, good])).toEqual(["item 0", expected, "item 2"]);
  });
});
