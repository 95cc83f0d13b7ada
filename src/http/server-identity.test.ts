import { describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { type LeafOptions, makeTestCa } from "../../test/fakes/tls/test-ca.ts";
import { type ServerIdentityCode, serverIdentityProblem } from "./server-identity.ts";

const ca = await makeTestCa();

describe("a server's certificate", () => {
  const cases: readonly [string, LeafOptions, ServerIdentityCode | undefined][] = [
    ["localhost", {}, undefined],
    ["127.0.0.1", {}, undefined],
    ["a.corp.test", { dnsNames: ["*.corp.test"] }, undefined],
    ["a.b.corp.test", { dnsNames: ["*.corp.test"] }, "tls_name_mismatch"],
    ["other.test", {}, "tls_name_mismatch"],
    ["127.0.0.2", {}, "tls_name_mismatch"],
    ["127.0.0.1", { dnsNames: ["127.0.0.1"], ipAddresses: [] }, "tls_name_mismatch"],
    ["node", { commonName: "node", dnsNames: [], ipAddresses: [] }, "tls_name_in_cn"],
    ["node", { commonName: "node" }, "tls_name_mismatch"],
    ["localhost", { keyType: "rsa-2048" }, undefined],
    ["localhost", { keyType: "rsa-1024" }, "tls_weak_certificate"],
    ["localhost", { hash: "SHA-1" }, "tls_weak_certificate"],
    ["localhost", { hash: "SHA-384" }, undefined],
  ];
  test.each(cases)("for %s with %j", async (name, options, code) => {
    const { raw } = new X509Certificate((await ca.server(options)).certPem);
    expect(serverIdentityProblem(name, { raw })?.code).toBe(code);
  });
});
