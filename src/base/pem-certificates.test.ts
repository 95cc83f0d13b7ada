import { beforeAll, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { makeTestCa } from "../../test/fakes/tls/test-ca.ts";
import { decodePemCertificates } from "./pem-certificates.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const count = (text: string, maxCertificates = 8): number | undefined =>
  decodePemCertificates(bytes(text), { maxBytes: 1 << 20, maxCertificates })?.length;

let a = "";
let b = "";
let key = "";
beforeAll(async () => {
  a = (await makeTestCa()).certPem;
  const ca = await makeTestCa();
  b = ca.certPem;
  key = (await ca.server()).keyPem;
});

describe("certificates in PEM", () => {
  test("a text that is cut off anywhere inside a block is refused as a whole", () => {
    const end = b.trimEnd();
    for (let length = 1; length < end.length; length += 1) {
      expect([length, count(a + b.slice(0, length))]).toEqual([length, undefined]);
    }
    expect(count(a + end)).toBe(2);
  });

  test("a block whose beginning is missing is refused", () => {
    expect(count(a + b.slice(b.indexOf("\n") + 1))).toBeUndefined();
  });

  test("a key that is cut off behind the certificates is refused, a whole one is skipped", () => {
    expect(count(a + key)).toBe(1);
    expect(count(key + a)).toBe(1);
    expect(count(a + key.slice(0, 60))).toBeUndefined();
  });

  test("text around the blocks is skipped, CRLF blocks are read", () => {
    const comment = "# ----- our CAs -----\n";
    expect(count(`\ufeff${comment}${a.replaceAll("\n", "\r\n")}subject=b\n${b}trailing-`)).toBe(2);
  });

  test("a certificate with other characters in it is refused", () => {
    expect(count(a + b.replace("MII", "M\u00e4I"))).toBeUndefined();
    expect(
      count(`${a}-----BEGIN CERTIFICATE-----\nProc-Type: 4\n\nAAAA\n-----END CERTIFICATE-----\n`),
    ).toBeUndefined();
    expect(count(`${a}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`)).toBeUndefined();
  });

  test("the bounds are exact", () => {
    expect(count(a + b, 2)).toBe(2);
    expect(count(a + b, 1)).toBeUndefined();
    const whole = bytes(a);
    expect(decodePemCertificates(whole, { maxBytes: whole.length, maxCertificates: 1 })).toHaveLength(1);
    expect(decodePemCertificates(whole, { maxBytes: whole.length - 1, maxCertificates: 1 })).toBeUndefined();
  });

  test("any bytes are certificates or nothing, in linear time", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.string({ maxLength: 200 }), (noise, text) => {
        expect(decodePemCertificates(noise, { maxBytes: 300, maxCertificates: 1 })).toBeUndefined();
        expect(count(`-----BEGIN CERTIFICATE-----\n${text}\n-----END CERTIFICATE-----`)).toBeUndefined();
      }),
    );
    const startedMs = performance.now();
    expect(count("-----BEGIN CERTIFICATE-----\n".repeat(30_000))).toBeUndefined();
    expect(performance.now() - startedMs).toBeLessThan(2000);
  });
});
