import { expect, test } from "bun:test";
import { createPrivateKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { makeTestCa, type TestKeyType } from "./test-ca.ts";

const tlsFetch = async (port: number, ca: string): Promise<number> =>
  (
    await fetch(`https://127.0.0.1:${port}/`, {
      tls: { ca, serverName: "localhost", rejectUnauthorized: true },
    })
  ).status;

test.each<TestKeyType>(["ec-p256", "ec-p384", "rsa-2048"])(
  "a server with an %s key is trusted",
  async (keyType) => {
    const ca = await makeTestCa();
    const leaf = await ca.server({ keyType });
    using server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      tls: { cert: leaf.chainPem, key: leaf.keyPem },
      fetch: () => new Response("ok"),
    });
    expect(await tlsFetch(server.port ?? 0, ca.certPem)).toBe(200);
  },
);

test("a leaf of an intermediate brings its chain", async () => {
  const ca = await makeTestCa();
  const leaf = await (await ca.intermediate()).server();
  using server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    tls: { cert: leaf.chainPem, key: leaf.keyPem },
    fetch: () => new Response("ok"),
  });
  expect(await tlsFetch(server.port ?? 0, ca.certPem)).toBe(200);
});

test("a client leaf has its key, usage and issuer", async () => {
  const ca = await makeTestCa();
  const leaf = await ca.client({ commonName: "control-plane-1" });
  const cert = new X509Certificate(leaf.certPem);
  expect(cert.checkPrivateKey(createPrivateKey(leaf.keyPem))).toBe(true);
  expect(cert.checkIssued(new X509Certificate(ca.certPem))).toBe(true);
  expect(cert.keyUsage).toEqual(["1.3.6.1.5.5.7.3.2"]);
});

test("a key that is held elsewhere is certified by its public part", async () => {
  const ca = await makeTestCa();
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const spki = new Uint8Array(publicKey.export({ type: "spki", format: "der" }));
  const cert = new X509Certificate((await ca.certify(spki)).certPem);
  expect(cert.checkPrivateKey(privateKey)).toBe(true);
});
