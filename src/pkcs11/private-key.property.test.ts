import { describe, expect, test } from "bun:test";
import { createPublicKey, generateKeyPairSync, sign, verify } from "node:crypto";
import fc from "fast-check";
import { derFromRawEcdsa } from "./private-key.ts";

describe("derFromRawEcdsa", () => {
  test.each(["P-256", "P-384"])(
    "what it makes of a %s signature verifies, as node:crypto's own DER does",
    (namedCurve) => {
      const { privateKey } = generateKeyPairSync("ec", { namedCurve });
      const publicKey = createPublicKey(privateKey);
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 64 }), (message) => {
          const raw = sign("sha256", message, { key: privateKey, dsaEncoding: "ieee-p1363" });
          const der = derFromRawEcdsa(raw);
          expect(der).toBeDefined();
          expect(verify("sha256", message, { key: publicKey, dsaEncoding: "der" }, der ?? raw)).toBe(true);
        }),
        { numRuns: 50 },
      );
    },
  );

  test("takes at most two integers of P-384", () => {
    expect(derFromRawEcdsa(new Uint8Array(96).fill(1))).toBeDefined();
    expect(derFromRawEcdsa(new Uint8Array(98).fill(1))).toBeUndefined();
  });

  test("gives minimal positive integers that hold the same numbers, or nothing", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 110 }), (raw) => {
        const der = derFromRawEcdsa(raw);
        const half = raw.length / 2;
        const fits = raw.length > 0 && raw.length % 2 === 0 && raw.length <= 96;
        const [r, s] = fits ? [numberOf(raw.subarray(0, half)), numberOf(raw.subarray(half))] : [0n, 0n];
        if (r === 0n || s === 0n) {
          expect(der).toBeUndefined();
          return;
        }
        expect(integersOf(der ?? new Uint8Array())).toEqual([r, s]);
      }),
    );
  });
});

function numberOf(bytes: Uint8Array): bigint {
  return BigInt(`0x0${Buffer.from(bytes).toString("hex")}`);
}

/** A strict reader of SEQUENCE { INTEGER, INTEGER } with short lengths. */
function integersOf(der: Uint8Array): readonly bigint[] {
  expect([der[0], der[1]]).toEqual([0x30, der.length - 2]);
  const found: bigint[] = [];
  let at = 2;
  while (at < der.length) {
    expect(der[at]).toBe(0x02);
    const digits = der.subarray(at + 2, at + 2 + (der[at + 1] ?? 0));
    const [first = 0, second = 0x80] = digits;
    expect(first).toBeLessThan(0x80);
    expect(first !== 0 || second >= 0x80).toBe(true);
    found.push(numberOf(digits));
    at += 2 + digits.length;
  }
  return found;
}
