/** Which certificates are taken, and when a new CA bundle is. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
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
  ];
  test.each(refused)("one %s is refused", async (_, make, code) => {
    const { chainPem, keyPem } = await make();
    const url = await stage.rawServer(OK, { cert: chainPem, key: keyPem });
    expect(await codeOf(ask(await stage.transportTo(), url))).toBe(code);
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
    writeFileSync(stage.caPath, "half of a bun");
    await clock.advance(10_000);
    expect((await ask(transport, url)).status).toBe(200);
    for (let turn = 0; turn < 100 && problems.length === 0; turn += 1) {
      await Bun.sleep(1);
    }
    expect(problems).toMatchObject([{ code: "ca_invalid" }]);
    expect((await ask(transport, url)).status).toBe(200);
  });
});
