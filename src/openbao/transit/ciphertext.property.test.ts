import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { ciphertextBytes, ciphertextVersion, decodeBase64, MAX_CIPHERTEXT_BYTES } from "./ciphertext.ts";

const version = fc.integer({ min: 1, max: 999_999_999 });
const payload = fc.uint8Array({ minLength: 28, maxLength: 600 });
const made = (number: number, bytes: Uint8Array): string => `vault:v${number}:${bytes.toBase64()}`;

describe("a ciphertext", () => {
  test("in canonical form gives its version", () => {
    fc.assert(
      fc.property(version, payload, (number, bytes) => {
        expect(ciphertextVersion(made(number, bytes))).toBe(number);
      }),
    );
  });

  test("with any one character changed, added or taken away is either refused or another ciphertext", () => {
    fc.assert(
      fc.property(
        version,
        payload,
        fc.nat(),
        fc.string({ maxLength: 2, unit: "binary" }),
        (number, bytes, at, other) => {
          const text = made(number, bytes);
          const place = at % text.length;
          const changed = text.slice(0, place) + other + text.slice(place + 1);
          const seen = ciphertextVersion(changed);
          if (seen !== undefined && changed !== text) {
            const [, , base64 = ""] = changed.split(":");
            expect([changed, seen, Buffer.from(base64, "base64").toString("base64")]).not.toEqual([
              text,
              number,
              base64,
            ]);
            expect(changed).toBe(`vault:v${seen}:${Buffer.from(base64, "base64").toString("base64")}`);
          }
        },
      ),
    );
  });

  test("never makes the parser throw", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(ciphertextVersion(text)).toBeUndefined();
      }),
    );
  });

  test.each([
    "vault:v0:AAAA",
    "vault:v01:AAAA",
    "vault:v+1:AAAA",
    "vault:v-1:AAAA",
    "vault:v1e1:AAAA",
    "vault:v1000000000000000:AAAA",
    "vault:v:AAAA",
    "vault:v1:AAA",
    "vault:v1:AA==AAAA",
    "vault:v1:AB==",
    "vault:v1:AAB=",
    "vault:v1:AA-_",
    "vault:v1:AA\nAA",
    "vault:v1:AAAA\n",
    " vault:v1:AAAA",
    "Vault:v1:AAAA",
    "vault:v1:AAAA:",
    "vault:v１:AAAA",
    "",
  ])("%p is refused", (text) => {
    expect(ciphertextVersion(text)).toBeUndefined();
  });

  test("of more than 1024 bytes is refused", () => {
    const room = Math.floor((MAX_CIPHERTEXT_BYTES - "vault:v1:".length) / 4) * 3;
    expect(ciphertextVersion(made(1, new Uint8Array(room)))).toBe(1);
    expect(ciphertextVersion(made(1, new Uint8Array(room + 1)))).toBeUndefined();
  });

  test("is exactly as long as foretold", () => {
    fc.assert(
      fc.property(version, fc.nat(900), (number, length) => {
        expect(ciphertextBytes(length, number)).toBe(made(number, new Uint8Array(length + 28)).length);
      }),
    );
  });
});

test("base64 decodes only in its canonical form", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.base64String(),
        fc.uint8Array().map((each) => each.toBase64()),
      ),
      (text) => {
        const canonical = Buffer.from(text, "base64").toString("base64") === text;
        expect(decodeBase64(text)?.toBase64()).toBe(canonical ? text : undefined);
      },
    ),
  );
});
