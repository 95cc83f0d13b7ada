/**
 * The provider with a PKCS#11 token, as a daemon over a real OpenBao: rotation of its credentials under load, refused PINs, a module
 * that hangs.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeJwtIssuer } from "../fakes/openbao/jwt-issuer.ts";
import { type Provisioning, provision, provisionCertLogin } from "../fakes/openbao/provision.ts";
import { ADDON_DIRECTORY, describeWithToken } from "../fakes/pkcs11/requirements.ts";
import { makeSoftToken, type SoftToken, TOKEN_LABEL, USER_PIN } from "../fakes/pkcs11/soft-token.ts";
import { makeTestCa, type TestCa } from "../fakes/tls/test-ca.ts";
import { eventually } from "../harness/eventually.ts";
import { type RealOpenBao, startOpenBao } from "../harness/openbao.ts";
import { untilOk } from "../harness/outage.ts";
import { type Provider, prepareProvider } from "../harness/provider.ts";
import { describeReal } from "../harness/real-suite.ts";

const root = join(import.meta.dir, "..", "..");
const DAYS_MS = 24 * 3_600_000;

describeReal("a provider with a PKCS#11 token", { needs: ["bao"], long: true }, (binary) => {
  describeWithToken("with SoftHSM", () => {
    let bao: RealOpenBao;
    let token: SoftToken;
    let ca: TestCa;
    let names: Provisioning;
    let spki: Uint8Array<ArrayBuffer>;
    let executable: string;
    const providers: Provider[] = [];

    beforeAll(async () => {
      token = makeSoftToken();
      ca = await makeTestCa({ commonName: "control plane CA" });
      spki = token.makeKey("client", "P-256");
      executable = join(token.directory, "bao-kms-provider");
      const build = ["scripts/build.ts", "--test-addons", ADDON_DIRECTORY, "--outfile", executable];
      expect(spawnSync(process.execPath, build, { cwd: root }).status).toBe(0);
      bao = await startOpenBao(binary("bao"));
      names = await provision(bao.operator, makeJwtIssuer().publicKeyPem);
      // Tokens that live for seconds make many logins.
      const role = { token_ttl: "24s", token_max_ttl: "24s" };
      await provisionCertLogin(bao.operator, { caPem: ca.certPem, policyName: names.policyName }, role);
      await renewCertificate(3);
    }, 120_000);
    afterAll(async () => {
      await Promise.all(providers.map((provider) => provider.dispose()));
      await bao.dispose();
      token[Symbol.dispose]();
    });

    const renewCertificate = async (days: number): Promise<void> => {
      const notAfter = new Date(Date.now() + days * DAYS_MS);
      const { chainPem } = await ca.certify(spki, { notAfter });
      writeFileSync(join(token.directory, "chain.pem"), chainPem, { mode: 0o600 });
    };
    const prepare = async (): Promise<Provider> => {
      const provider = await prepareProvider({
        openbao: bao,
        names,
        issuer: makeJwtIssuer(),
        executable,
        env: token.environment,
        config: {
          auth: {
            method: "cert",
            loginBeforeTokenExpiry: "10s",
            tokenRenewalIncrement: "24s",
            loginTimeout: "2s",
            cert: {
              mountPath: "auth/cert",
              source: "pkcs11",
              pkcs11: {
                certificateFile: join(token.directory, "chain.pem"),
                modulePath: token.stubModule(),
                tokenLabel: TOKEN_LABEL,
                keyLabel: "client",
                pinFile: token.pinFile,
              },
            },
          },
          bootstrap: { graceTimeout: "2s", retryInterval: "100ms" },
        },
      });
      providers.push(provider);
      return provider;
    };
    const authOf = async (provider: Provider): Promise<string> => (await provider.health("/ready")).body;
    const certificateSeconds = async (provider: Provider): Promise<number> =>
      Number(/^openbao_kms_certificate_ttl_seconds (\S+)$/m.exec(await provider.metrics())?.[1]);

    test("new certificates, new PIN files and a module that hangs once fail no call", async () => {
      const provider = await prepare();
      await provider.start();
      expect(await certificateSeconds(provider)).toBeLessThan(3 * 86_400);
      const seed = new Uint8Array(32).fill(7);
      let calls = 0;
      const over = new AbortController();
      const load = Array.from({ length: 4 }, async () => {
        while (!over.signal.aborted) {
          const sealed = await provider.client.encrypt(seed);
          expect(new Uint8Array((await provider.client.decrypt(sealed)).plaintext)).toEqual(seed);
          calls += 2;
        }
      });
      const before = token.logins();
      await renewCertificate(30);
      token.writePin(`${USER_PIN}\n`);
      await eventually(
        "a login with the new certificate",
        async () => (await certificateSeconds(provider)) > 20 * 86_400,
        {
          timeoutMs: 30_000,
        },
      );
      token.stubModule("sign hang");
      await eventually("the hung module is reported", () => provider.output().includes("module_hung"), {
        timeoutMs: 30_000,
      });
      token.stubModule();
      const hung = token.logins();
      await eventually("the next logins", () => token.logins() > hung, { timeoutMs: 30_000 });
      over.abort();
      await Promise.all(load);
      expect(calls).toBeGreaterThan(100);
      // One with the new certificate and PIN, which may be seen together, and one after the module was hung.
      expect(token.logins() - before).toBeGreaterThanOrEqual(2);
      expect(provider.output()).not.toContain("token_renew_self");
      await provider.stop();
    }, 150_000);

    test("with its registry it stays up through a refused PIN, tried once, and comes back with the right one", async () => {
      const provider = await prepare();
      await provider.start();
      await provider.kill();
      const before = token.logins();
      token.writePin("000000");
      provider.spawn();
      await eventually("the refusal is reported", () => provider.output().includes("pin_refused"), {
        timeoutMs: 30_000,
      });
      await Bun.sleep(3000);
      expect(provider.exited()).toBe(false);
      expect(await authOf(provider)).toContain("token_device");
      await provider.kill();
      provider.spawn();
      await eventually("the latch holds", () => provider.output().includes("pin_latched"), {
        timeoutMs: 30_000,
      });
      expect(token.logins() - before).toBe(1);
      token.writePin(USER_PIN);
      await untilOk(provider);
      expect(provider.output()).not.toContain("000000");
      await provider.stop();
    }, 60_000);

    test("without a registry a refused PIN ends it with 6, each time, and the token receives it once", async () => {
      token.writePin("111111");
      const before = token.logins();
      const provider = await prepare();
      for (let start = 0; start < 2; start += 1) {
        provider.spawn();
        await eventually("it leaves", () => provider.exited(), { timeoutMs: 30_000 });
        expect(provider.exitCode()).toBe(6);
      }
      expect(token.logins() - before).toBe(1);
      token.writePin(USER_PIN);
      await provider.start();
      await provider.stop();
    }, 60_000);
  });
});
