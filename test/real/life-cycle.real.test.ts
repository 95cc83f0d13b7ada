/** Starts that come too early, tokens that live for seconds, and the end of the compiled executable. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { existsSync, rmSync } from "node:fs";
import type { EncryptResponse } from "../../src/kms/gen/v2/api_pb.ts";
import { makeJwtIssuer } from "../fakes/openbao/jwt-issuer.ts";
import { type Provisioning, provision } from "../fakes/openbao/provision.ts";
import { eventually } from "../harness/eventually.ts";
import { codeOf } from "../harness/kms-client.ts";
import { type RealOpenBao, startOpenBao } from "../harness/openbao.ts";
import { opens, untilNotOk, untilOk } from "../harness/outage.ts";
import { type Provider, type ProviderOptions, prepareProvider } from "../harness/provider.ts";
import { describeReal } from "../harness/real-suite.ts";

const TEST_TIMEOUT_MS = 60_000;

describeReal("life cycle", { needs: ["bao"], long: true }, (binary) => {
  const issuer = makeJwtIssuer("RS256");
  const seed = new Uint8Array(randomBytes(32));
  let openbao: RealOpenBao;
  let names: Provisioning;
  let provider: Provider;
  let sample: EncryptResponse;
  let count = 0;
  beforeAll(async () => {
    openbao = await startOpenBao(binary("bao"));
  }, TEST_TIMEOUT_MS);
  afterAll(() => openbao.dispose());
  afterEach(() => provider.dispose());

  /** A key, a policy and a login of the test's own. */
  const provisionNext = async (overrides: Partial<Provisioning> = {}): Promise<void> => {
    count += 1;
    names = await provision(openbao.operator, issuer.publicKeyPem, {
      mount: `transit-${count}`,
      jwtMount: `jwt-${count}`,
      policyName: `kms-provider-${count}`,
      ...overrides,
    });
  };
  /** A provider that is not started yet. */
  const prepare = async (options: Partial<ProviderOptions> = {}): Promise<void> => {
    provider = await prepareProvider({ openbao, names, issuer, ...options });
  };
  const startWithSample = async (): Promise<void> => {
    await provider.start();
    sample = await provider.client.encrypt(seed);
  };
  const startFresh = async (): Promise<void> => {
    await provisionNext();
    await prepare();
    await startWithSample();
  };
  const decryptCode = (): Promise<string> => codeOf(provider.client.decrypt(sample));

  test(
    "re-login when renewal reaches the maximum: no failed call in 15 s",
    async () => {
      await provisionNext({ tokenTtl: "4s", tokenMaxTtl: "6s" });
      await prepare({
        config: { auth: { loginBeforeTokenExpiry: "1s", tokenRenewalIncrement: "4s" } },
      });
      await startWithSample();
      const end = performance.now() + 15_000;
      while (performance.now() < end) {
        expect(await decryptCode()).toBe("OK");
        await Bun.sleep(100);
      }
      const logins = provider.log().filter(({ message }) => message === "auth.login").length;
      expect(logins).toBeWithin(3, 12);
    },
    TEST_TIMEOUT_MS,
  );
  test(
    "a start before OpenBao: the reason is logged, and the start continues when OpenBao is there",
    async () => {
      await provisionNext();
      await prepare();
      await openbao.kill();
      provider.spawn();
      await Bun.sleep(1500);
      expect(provider.exited()).toBe(false);
      await openbao.start();
      await untilOk(provider);
    },
    TEST_TIMEOUT_MS,
  );
  test(
    "a start before its JWT is there",
    async () => {
      await provisionNext();
      await prepare();
      rmSync(`${provider.dir}/identity.jwt`);
      provider.spawn();
      await Bun.sleep(1000);
      expect(provider.exited()).toBe(false);
      provider.writeJwt();
      await untilOk(provider);
    },
    TEST_TIMEOUT_MS,
  );
  test(
    "a start with a registry while OpenBao is away: Status at once with the key_id and a reason, nothing encrypted",
    async () => {
      await provisionNext();
      await prepare();
      await startWithSample();
      await provider.stop();
      await openbao.kill();
      provider.spawn();
      const healthz = await untilNotOk(provider);
      expect(healthz).not.toBe("");
      expect((await provider.client.status()).keyId).toBe(sample.keyId);
      expect(await codeOf(provider.client.encrypt(seed))).not.toBe("OK");
      expect((await provider.health("/live")).status).toBe(200);
      await openbao.start();
      await untilOk(provider);
      expect(await opens(provider, sample, seed)).toBe(true);
    },
    TEST_TIMEOUT_MS,
  );
  test(
    "a start with a wrong role: exits after the grace and names the reason last",
    async () => {
      await provisionNext();
      await prepare({
        names: { ...names, role: "unknown-role" },
        config: { bootstrap: { graceTimeout: "1s", retryInterval: "100ms" } },
      });
      provider.spawn();
      await eventually("it exits", () => provider.exited(), { timeoutMs: 15_000 });
      expect(provider.exitCode()).not.toBe(0);
      expect(provider.log().at(-1)?.["error_class"]).toBe("auth_failed");
    },
    TEST_TIMEOUT_MS,
  );
  test(
    "a start on a rotated key without state: fails closed and says so",
    async () => {
      await provisionNext();
      await openbao.operator.must("POST", `${names.mount}/keys/${names.keyName}/rotate`, {});
      await prepare({ config: { bootstrap: { graceTimeout: "1s", retryInterval: "100ms" } } });
      provider.spawn();
      await eventually("it exits", () => provider.exited(), { timeoutMs: 15_000 });
      expect(provider.exitCode()).not.toBe(0);
      expect(provider.log().at(-1)?.["error_class"]).toBe("registry_invalid");
      expect(existsSync(provider.statePath)).toBe(false);
    },
    TEST_TIMEOUT_MS,
  );
  test(
    "SIGTERM: exit 0, token revoked, socket gone",
    async () => {
      await startFresh();
      const before = openbao.auditLog().length;
      expect(await provider.stop()).toBe(0);
      expect(existsSync(provider.socketPath)).toBe(false);
      expect(openbao.auditLog().slice(before)).toContain("auth/token/revoke-self");
    },
    TEST_TIMEOUT_MS,
  );
});
