import { describe, expect, test } from "bun:test";
import { createPublicKey } from "node:crypto";
// oxlint-disable-next-line import/no-unassigned-import -- a polyfill, imported for its effect before @peculiar/x509
import "reflect-metadata";
import { BasicConstraintsExtension, X509CertificateGenerator } from "@peculiar/x509";
import fc from "fast-check";
import { type LeafOptions, makeTestCa } from "../../../test/fakes/tls/test-ca.ts";
import {
  type CertificateProblem,
  certificateProblem,
  decodeChain,
  MAX_CHAIN_BYTES,
} from "./client-certificate.ts";

const HOUR = 3_600_000;
const RULES = { minRemainingTtlMs: 2 * HOUR, leewayMs: 30_000 };
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const inHours = (hours: number): Date => new Date(Date.now() + hours * HOUR);

async function problemOf(
  options: LeafOptions,
  keyPem?: string,
): Promise<CertificateProblem | undefined | "malformed"> {
  const leaf = await (await makeTestCa()).client(options);
  const chain = decodeChain(bytes(leaf.chainPem));
  return chain === undefined
    ? "malformed"
    : certificateProblem(chain, createPublicKey(keyPem ?? leaf.keyPem), RULES, Date.now());
}

/** A self-signed certificate of P-224, which Web Crypto does not make; valid for a hundred years. */
const P224 = `-----BEGIN CERTIFICATE-----
MIIBYjCCARCgAwIBAgIUarD6COMYSR61MFHxjP6+UJBGgIswCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEcDIyNDAgFw0yNjExMjgwODQwMzNaGA8yMTI2MTEwNDA4NDAz
M1owDzENMAsGA1UEAwwEcDIyNDBOMBAGByqGSM49AgEGBSuBBAAhAzoABH1a+DnC
G15MUS1gjmjxtxuB02oULkFKBiGnng8HbjwYBmZHqkE41G5zPDJ0RCwaPcZZemx8
LiY0o1MwUTAdBgNVHQ4EFgQUKzVfWuTa5poaW+Yi0mqip1G7aAEwHwYDVR0jBBgw
FoAUKzVfWuTa5poaW+Yi0mqip1G7aAEwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjO
PQQDAgNAADA9Ah0AiMoWViRqdRoezmoCXhWVpmMhkdFdboPt0+bpqgIcDXo23L9O
r0PcRBmVzGg6YUBGITTMB0zqvS+YeQ==
-----END CERTIFICATE-----
`;

describe("a client certificate", () => {
  const cases: readonly [string, LeafOptions, CertificateProblem | undefined][] = [
    ["P-256", {}, undefined],
    ["P-384", { keyType: "ec-p384", hash: "SHA-384" }, undefined],
    ["P-521", { keyType: "ec-p521" }, undefined],
    ["Ed25519", { keyType: "ed25519" }, undefined],
    ["RSA 1024", { keyType: "rsa-1024" }, "certificate_weak"],
    ["for any usage", { extendedKeyUsages: ["any"] }, undefined],
    ["for servers and any usage", { extendedKeyUsages: ["serverAuth", "any"] }, undefined],
    ["RSA 2048", { keyType: "rsa-2048" }, undefined],
    ["for clients and servers", { extendedKeyUsages: ["serverAuth", "clientAuth"] }, undefined],
    ["expired", { notBefore: inHours(-2), notAfter: inHours(-1) }, "certificate_expired"],
    ["about to expire", { notAfter: inHours(1) }, "certificate_expires_soon"],
    ["of tomorrow", { notBefore: inHours(1) }, "certificate_not_yet_valid"],
    ["for servers", { extendedKeyUsages: ["serverAuth"] }, "certificate_wrong_usage"],
    ["signed with SHA-1", { hash: "SHA-1" }, "certificate_weak"],
  ];
  test.each(cases)("%s", async (_, options, problem) => {
    expect(await problemOf(options)).toBe(problem);
  });

  test("of another curve is weak", () => {
    const chain = decodeChain(bytes(P224));
    const nowMs = Date.parse("2030-01-01T00:00:00Z");
    expect(chain && certificateProblem(chain, chain[0].publicKey, RULES, nowMs)).toBe("certificate_weak");
  });

  test("at the bounds of its validity, which has whole seconds", async () => {
    const notBefore = new Date(Math.floor(Date.now() / 1000) * 1000);
    const notAfter = new Date(notBefore.getTime() + 24 * HOUR);
    const leaf = await (await makeTestCa()).client({ notBefore, notAfter });
    const chain = decodeChain(bytes(leaf.chainPem));
    const at = (nowMs: number) =>
      chain && certificateProblem(chain, createPublicKey(leaf.keyPem), RULES, nowMs);
    expect([
      at(notBefore.getTime() - RULES.leewayMs - 1),
      at(notBefore.getTime() - RULES.leewayMs),
      at(notAfter.getTime() - RULES.minRemainingTtlMs),
      at(notAfter.getTime() - RULES.minRemainingTtlMs + 1),
      at(notAfter.getTime() + RULES.leewayMs - 1),
      at(notAfter.getTime() + RULES.leewayMs),
    ]).toEqual([
      "certificate_not_yet_valid",
      undefined,
      undefined,
      "certificate_expires_soon",
      "certificate_expires_soon",
      "certificate_expired",
    ]);
  });

  test("with a chain out of order or of strangers", async () => {
    const root = await makeTestCa();
    const leaf = await (await root.intermediate()).client();
    const stranger = await (await makeTestCa()).intermediate();
    const problem = (...pems: string[]) => {
      const chain = decodeChain(bytes(pems.join("")));
      return chain && certificateProblem(chain, createPublicKey(leaf.keyPem), RULES, Date.now());
    };
    expect(problem(leaf.chainPem)).toBeUndefined();
    expect(problem(leaf.chainPem, root.certPem)).toBeUndefined();
    expect(problem(leaf.certPem, root.certPem)).toBe("certificate_chain_broken");
    expect(problem(leaf.certPem, stranger.certPem)).toBe("certificate_chain_broken");
    expect(problem(leaf.certPem, leaf.certPem)).toBe("certificate_chain_broken");
  });

  test.each([
    ["SHA-1", 20, "certificate_weak"],
    ["SHA-256", 32, undefined],
    ["SHA-512", 64, undefined],
  ] as const)("signed with RSASSA-PSS and %s", async (hash, saltLength, problem) => {
    const publicExponent = Uint8Array.of(1, 0, 1);
    const algorithm = { name: "RSA-PSS", modulusLength: 2048, publicExponent, hash };
    const { publicKey, privateKey } = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
    const certificate = await X509CertificateGenerator.create({
      subject: "CN=node-1",
      issuer: "CN=a CA",
      publicKey,
      signingKey: privateKey,
      signingAlgorithm: { name: "RSA-PSS", hash, saltLength },
      notBefore: inHours(-1),
      notAfter: inHours(24),
    });
    const chain = decodeChain(bytes(certificate.toString("pem")));
    expect(chain && certificateProblem(chain, chain[0].publicKey, RULES, Date.now())).toBe(problem);
  });

  test("whose issuer has the right name only, or is no CA", async () => {
    const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
    const keysOf = () => crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
    const [signer, other, own] = await Promise.all([keysOf(), keysOf(), keysOf()]);
    // Without key identifiers: the names alone say who issued what.
    const make = async (subject: string, publicKey: CryptoKey, isCa: boolean): Promise<string> => {
      const certificate = await X509CertificateGenerator.create({
        subject,
        issuer: "CN=issuer",
        publicKey,
        signingKey: signer.privateKey,
        signingAlgorithm: algorithm,
        notBefore: inHours(-1),
        notAfter: inHours(24),
        extensions: [new BasicConstraintsExtension(isCa, undefined, true)],
      });
      return `${certificate.toString("pem")}\n`;
    };
    const leaf = await make("CN=leaf", own.publicKey, false);
    const problem = (issuer: string) => {
      const chain = decodeChain(bytes(leaf + issuer));
      return chain === undefined
        ? "malformed"
        : certificateProblem(chain, chain[0].publicKey, RULES, Date.now());
    };
    expect(problem(await make("CN=issuer", signer.publicKey, true))).toBeUndefined();
    expect(problem(await make("CN=issuer", signer.publicKey, false))).toBe("certificate_chain_broken");
    expect(problem(await make("CN=issuer", other.publicKey, true))).toBe("certificate_chain_broken");
  });

  test("of another key", async () => {
    const other = await (await makeTestCa()).client();
    expect(await problemOf({}, other.keyPem)).toBe("certificate_key_mismatch");
  });
});

describe("decoding a chain", () => {
  test("keeps the order of the file and skips what stands between", async () => {
    const intermediate = await (await makeTestCa()).intermediate();
    const leaf = await intermediate.client({ commonName: "node-1" });
    const chain = decodeChain(bytes(`subject=node-1\n${leaf.chainPem}`));
    expect(chain?.map(({ subject }) => subject)).toEqual(["CN=node-1", "CN=test intermediate"]);
  });

  test("of any bytes never throws", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.base64String({ maxLength: 200 }), (noise, text) => {
        expect(decodeChain(noise)).toBeUndefined();
        expect(
          decodeChain(bytes(`-----BEGIN CERTIFICATE-----\n${text}\n-----END CERTIFICATE-----`)),
        ).toBeUndefined();
      }),
    );
  });

  test("of more bytes than the bound is refused", () => {
    expect(MAX_CHAIN_BYTES).toBe(65_536);
    const longest = `\n${P224}`.padStart(MAX_CHAIN_BYTES, "x");
    expect(decodeChain(bytes(longest))).toHaveLength(1);
    expect(decodeChain(bytes(`x${longest}`))).toBeUndefined();
  });

  test("with too many certificates is refused", async () => {
    const { certPem } = await (await makeTestCa()).client();
    expect(decodeChain(bytes(certPem.repeat(8)))).toHaveLength(8);
    expect(decodeChain(bytes(certPem.repeat(9)))).toBeUndefined();
  });
});
