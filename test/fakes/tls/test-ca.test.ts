import { expect, test } from "bun:test";
import { createPrivateKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { type Leaf, makeTestCa, type TestKeyType } from "./test-ca.ts";

/** The status that a client which trusts `ca` alone gets from a server with this leaf. */
async function statusFrom(leaf: Leaf, ca: string): Promise<number> {
  using server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    tls: { cert: leaf.chainPem, key: leaf.keyPem },
    fetch: () => new Response("ok"),
  });
  const { status } = await fetch(`https://127.0.0.1:${server.port ?? 0}/`, {
    tls: { ca, serverName: "localhost", rejectUnauthorized: true },
  });
  return status;
}

test.each<TestKeyType>(["ec-p256", "ec-p384", "rsa-2048"])(
  "a server with an %s key is trusted",
  async (keyType) => {
    const ca = await makeTestCa();
    expect(await statusFrom(await ca.server({ keyType }), ca.certPem)).toBe(200);
  },
);

test("a leaf of an intermediate brings its chain", async () => {
  const ca = await makeTestCa();
  const leaf = await (await ca.intermediate()).server();
  expect(await statusFrom(leaf, ca.certPem)).toBe(200);
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
