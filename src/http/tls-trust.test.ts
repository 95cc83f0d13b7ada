/** Which certificates are taken, and when a new CA bundle is. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { TlsOptions } from "node:tls";
import { manualClock } from "../../test/fakes/manual-clock.ts";
import { ask, codeOf, type HttpsStage, OK, openHttpsStage } from "../../test/fakes/tls/https-stage.ts";
import { type Leaf, makeTestCa } from "../../test/fakes/tls/test-ca.ts";
import { Secret } from "../base/secret.ts";

const HOUR_MS = 3_600_000;

let stage: HttpsStage;
beforeAll(async () => {
  stage = await openHttpsStage();
});
afterAll(() => stage.close());

describe("certificates", () => {
  const refused: readonly [string, () => Promise<Leaf>, string][] = [
    ["of another CA", async () => (await makeTestCa()).server(), "tls_untrusted"],
    [
      "without its intermediate",
      async () => leafAlone(await (await stage.ca.intermediate()).server()),
      "tls_untrusted",
    ],
    ["for another name", () => stage.ca.server({ dnsNames: ["other.test"] }), "tls_name_mismatch"],
    [
      "for our address only",
      () => stage.ca.server({ dnsNames: [], commonName: "other.test" }),
      "tls_name_mismatch",
    ],
    [
      "that has expired",
      () => stage.ca.server({ notAfter: new Date(Date.now() - HOUR_MS / 2) }),
      "tls_expired",
    ],
    [
      "of tomorrow",
      () => stage.ca.server({ notBefore: new Date(Date.now() + HOUR_MS) }),
      "tls_not_yet_valid",
    ],
    ["for clients", () => stage.ca.client({ dnsNames: ["localhost"] }), "tls_wrong_usage"],
    [
      "with keyUsage keyEncipherment only",
      () => stage.ca.server({ keyType: "rsa-2048", keyUsage: "keyEncipherment" }),
      "tls_key_usage",
    ],
    [
      "with its name in the subject only",
      () => stage.ca.server({ commonName: "localhost", dnsNames: [], ipAddresses: [] }),
      "tls_name_in_cn",
    ],
    ["with RSA of 1024 bits", () => stage.ca.server({ keyType: "rsa-1024" }), "tls_weak_certificate"],
    ["signed with SHA-1", () => stage.ca.server({ hash: "SHA-1" }), "tls_weak_certificate"],
    [
      "outside of a CA's name constraints",
      async () => (await stage.ca.intermediate({ permittedDomain: "corp.test" })).server(),
      "tls_constraint_violated",
    ],
  ];
  test.each(refused)("one %s is refused", async (_, make, code) => {
    const { chainPem, keyPem } = await make();
    const url = await stage.rawServer(OK, { cert: chainPem, key: keyPem });
    expect(await codeOf(ask(await stage.transportTo(), url))).toBe(code);
  });

  test.each(["ec-p384", "ec-p521", "ed25519", "rsa-2048"] as const)(
    "one with a key of %s is taken",
    async (keyType) => {
      const { chainPem, keyPem } = await stage.ca.server({ keyType });
      const url = await stage.rawServer(OK, { cert: chainPem, key: keyPem });
      expect((await ask(await stage.transportTo(), url)).status).toBe(200);
    },
  );

  test("one whose root is not in the bundle, its intermediate is", async () => {
    const intermediate = await stage.ca.intermediate();
    const { chainPem, keyPem } = await intermediate.server();
    const url = await stage.rawServer(OK, { cert: chainPem, key: keyPem });
    const trust = { pem: () => intermediate.certPem, refresh: () => Promise.resolve(false) };
    expect(await codeOf(ask(await stage.transportTo({ trust }), url))).toBe("tls_root_missing");
  });

  const handshakes: readonly [string, TlsOptions, string][] = [
    [
      "static RSA key exchange",
      { ciphers: "AES128-GCM-SHA256", maxVersion: "TLSv1.2" },
      "tls_handshake_failed",
    ],
    ["TLS 1.1", { ciphers: "ALL", minVersion: "TLSv1", maxVersion: "TLSv1.1" }, "tls_no_shared_version"],
    [
      "a client certificate that is demanded and not there",
      { requestCert: true, rejectUnauthorized: true },
      "tls_client_refused",
    ],
  ];
  test.each(handshakes)("a server with %s is refused", async (_, options, code) => {
    const { chainPem, keyPem } = await stage.ca.server({ keyType: "rsa-2048" });
    const url = await stage.rawServer(OK, { ...options, cert: chainPem, key: keyPem });
    expect(await codeOf(ask(await stage.transportTo(), url))).toBe(code);
  });

  test("a server without TLS is named", async () => {
    const url = await stage.listen(
      createServer((socket) => socket.on("error", () => {}).end("HTTP/1.1 400 Bad Request\r\n\r\n")),
    );
    expect(await codeOf(ask(await stage.transportTo(), url))).toBe("tls_not_spoken");
  });

  test("a server that never answers the handshake is a timeout", async () => {
    const silent = await stage.listen(createServer(() => {}));
    expect(await codeOf(ask(await stage.transportTo(), silent, { timeoutMs: 100 }))).toBe("timeout");
  });

  const leafAlone = (whole: Leaf): Leaf => ({ ...whole, chainPem: whole.certPem });

  test("a client certificate is shown when there is one", async () => {
    const client = await stage.ca.client();
    const url = await stage.rawServer(OK, {
      requestCert: true,
      rejectUnauthorized: true,
      ca: stage.ca.certPem,
    });
    const identity = { chainPem: client.chainPem, keyPem: new Secret(client.keyPem) };
    expect((await ask(await stage.transportTo({ identity }), url)).status).toBe(200);
    expect(await codeOf(ask(await stage.transportTo(), url))).not.toBe("answered");
  });

  test("a new CA bundle is used at the first refusal, without a failed request", async () => {
    const next = await makeTestCa();
    const nextLeaf = await next.server();
    const url = await stage.rawServer(OK, { cert: nextLeaf.chainPem, key: nextLeaf.keyPem });
    const transport = await stage.transportTo();
    expect(await codeOf(ask(transport, url))).toBe("tls_untrusted");
    writeFileSync(stage.caPath, next.certPem);
    expect((await ask(transport, url)).status).toBe(200);
  });

  test("a connection made under the old CA bundle is not used under the new one", async () => {
    const clock = manualClock();
    const url = await stage.rawServer(OK, {}, true);
    const transport = await stage.transportTo({ clock });
    expect((await ask(transport, url)).status).toBe(200);
    writeFileSync(stage.caPath, (await makeTestCa()).certPem);
    expect(await transport.reloadTrust()).toBe(true);
    expect(await codeOf(ask(transport, url))).toBe("tls_untrusted");
  });

  test("a CA bundle that turns bad is reported while the old one goes on", async () => {
    const clock = manualClock();
    const problems: unknown[] = [];
    const url = await stage.rawServer(OK, {}, true);
    const transport = await stage.transportTo({ clock, onTrustProblem: (error) => problems.push(error) });
    writeFileSync(stage.caPath, stage.ca.certPem + stage.ca.certPem.slice(0, 400));
    await clock.advance(10_000);
    expect((await ask(transport, url)).status).toBe(200);
    for (let turn = 0; turn < 100 && problems.length === 0; turn += 1) {
      await Bun.sleep(1);
    }
    expect(problems).toMatchObject([{ code: "ca_invalid" }]);
    expect((await ask(transport, url)).status).toBe(200);
  });
});
