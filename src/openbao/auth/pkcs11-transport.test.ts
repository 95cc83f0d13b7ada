import { describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { makeTestCa } from "../../../test/fakes/tls/test-ca.ts";
import { ProviderError } from "../../base/error-class.ts";
import { TransportError } from "../../http/errors.ts";
import type { HttpRequest } from "../../http/https.ts";
import { CONNECTION_FAILURES, ConnectionFailure } from "../../pkcs11/errors.ts";
import type { TokenCertificates, TokenResponse } from "../../pkcs11/token.ts";
import { pkcs11Transport } from "./pkcs11-transport.ts";

const NAMES = {
  what: "OpenBao",
  addressField: "openbao.address",
  caField: "openbao.caCertFile",
  serverNameField: "openbao.tlsServerName",
};
const REQUEST: HttpRequest = {
  method: "GET",
  url: "https://bao.test:8200/v1/sys/health",
  headers: {},
  signal: new AbortController().signal,
  timeoutMs: 1000,
  maxBytes: 1000,
};
const RESPONSE: TokenResponse = { status: 200, headers: new Headers(), body: new Uint8Array(0) };
const derOf = (pem: string): string => new X509Certificate(pem).raw.toString("hex");
const [one, two] = await Promise.all([makeTestCa(), makeTestCa()]);
const PEM = [one, two].map(({ certPem }) => new X509Certificate(certPem).toString()).join("");

function transport(answer: () => Promise<TokenResponse>, refresh: () => Promise<boolean> = async () => true) {
  const asked: TokenCertificates[] = [];
  const refreshed = { count: 0 };
  const made = pkcs11Transport({
    token: {
      request: (certificates) => {
        asked.push(certificates);
        return answer();
      },
    },
    chain: [Uint8Array.of(1)],
    trust: {
      pem: () => PEM,
      refresh: () => {
        refreshed.count += 1;
        return refresh();
      },
    },
    names: NAMES,
  });
  return { ...made, asked, refreshed };
}

const failure = (request: Promise<unknown>): Promise<unknown> => request.catch((error: unknown) => error);

describe("a request with the PKCS#11 token", () => {
  test("shows the chain and trusts each certificate of the bundle, which is read again first", async () => {
    const { request, asked, refreshed } = transport(async () => RESPONSE);
    expect(await request(REQUEST)).toBe(RESPONSE);
    expect(refreshed.count).toBe(1);
    expect(asked.map(({ chain }) => chain)).toEqual([[Uint8Array.of(1)]]);
    expect(asked[0]?.ca.map((der) => Buffer.from(der).toString("hex"))).toEqual([
      derOf(one.certPem),
      derOf(two.certPem),
    ]);
  });

  test("goes out with the last good bundle when the file cannot be used now", async () => {
    const { request, reloadTrust } = transport(
      async () => RESPONSE,
      () => Promise.reject(new Error("unusable")),
    );
    expect(await request(REQUEST)).toBe(RESPONSE);
    expect(await failure(reloadTrust())).toBeInstanceOf(Error);
  });

  test("that fails on the connection has the code of the transport, and names the server", async () => {
    const codes = new Set<string>();
    for (const code of [...CONNECTION_FAILURES, "timeout", "canceled"] as const) {
      const cause = new ConnectionFailure(code);
      const error = await failure(transport(() => Promise.reject(cause)).request(REQUEST));
      if (!(error instanceof TransportError)) {
        throw new TypeError(`${code}: not a TransportError`);
      }
      expect(error.message).toContain("https://bao.test:8200 ");
      expect(error.cause).toBe(cause);
      codes.add(error.code);
    }
    expect(codes.size).toBe(CONNECTION_FAILURES.length + 2);
  });

  test("that fails in the token fails with the token's own error", async () => {
    const own = new ProviderError({ code: "token_missing", errorClass: "token_device", message: "none" });
    expect(await failure(transport(() => Promise.reject(own)).request(REQUEST))).toBe(own);
  });
});
