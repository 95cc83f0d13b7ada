import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { makeTestCa } from "../../test/fakes/tls/test-ca.ts";
import { decodeCaBundle } from "./ca-file.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("a CA bundle", () => {
  test("keeps its certificates and drops what stands around them", async () => {
    const [a, b] = [(await makeTestCa()).certPem, (await makeTestCa()).certPem];
    const pem = decodeCaBundle(bytes(`# first\r\n${a.replaceAll("\n", "\r\n")}subject=b\n${b}trailing`));
    expect(pem).toBe(decodeCaBundle(bytes(a + b)));
    expect(pem?.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
  });

  test("with one broken certificate is refused as a whole", async () => {
    const { certPem } = await makeTestCa();
    const broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    expect(decodeCaBundle(bytes(certPem + broken))).toBeUndefined();
  });

  test("without a certificate is refused", async () => {
    const { keyPem } = await (await makeTestCa()).server();
    expect(decodeCaBundle(bytes(keyPem))).toBeUndefined();
    expect(decodeCaBundle(new Uint8Array(0))).toBeUndefined();
  });

  test("of any bytes never throws", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.string({ maxLength: 200 }), (noise, text) => {
        expect(decodeCaBundle(noise)).toBeUndefined();
        expect(
          decodeCaBundle(bytes(`-----BEGIN CERTIFICATE-----\n${text}\n-----END CERTIFICATE-----`)),
        ).toBeUndefined();
      }),
    );
  });
});
