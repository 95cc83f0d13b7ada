/**
 * What goes wrong with OpenBao, caused for real and one at a time, against the compiled executable.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, rmSync } from "node:fs";
import type { EncryptResponse } from "../../src/kms/gen/v2/api_pb.ts";
import { textAt } from "../fakes/openbao/json-at.ts";
import { type JwtIssuer, makeJwtIssuer } from "../fakes/openbao/jwt-issuer.ts";
import { type Provisioning, provision } from "../fakes/openbao/provision.ts";
import { makeTestCa } from "../fakes/tls/test-ca.ts";
import { eventually } from "./harness/eventually.ts";
import { codeOf } from "./harness/kms-client.ts";
import { type RealOpenBao, startOpenBao } from "./harness/openbao.ts";
import { opens, untilKeyIdChanges, untilNotOk, untilOk, untilStatusCode } from "./harness/outage.ts";
import { type Provider, type ProviderOptions, prepareProvider } from "./harness/provider.ts";
import { describeReal } from "./harness/real-suite.ts";

const TEST_TIMEOUT_MS = 60_000;
const YOUNG_TOKEN_MS = 10_500;

describeReal("OpenBao's faults", { needs: ["bao"], long: true }, (binary) => {
  const issuer: JwtIssuer = makeJwtIssuer("RS256");
  const seed = new Uint8Array(randomBytes(32));
  let openbao: RealOpenBao;
  let names: Provisioning;
  let provider: Provider;
  let sample: EncryptResponse;
  let count = 0;

  /** Mount, key, login and policy of its own for each test, so that none finds what another has broken. */
  const provisionNext = async (overrides: Partial<Provisioning> = {}): Promise<void> => {
    count += 1;
    names = await provision(openbao.operator, issuer.publicKeyPem, {
      mount: `transit-${count}`,
      jwtMount: `jwt-${count}`,
      policyName: `kms-provider-${count}`,
      ...overrides,
    });
  };
  const prepare = async (options: Partial<ProviderOptions> = {}): Promise<void> => {
    provider = await prepareProvider({ openbao, names, issuer, ...options });
  };
  const keyPath = (): string => `${names.mount}/keys/${names.keyName}`;
  const post = (path: string, body = {}): Promise<unknown> => openbao.operator.must("POST", path, body);
  const decryptCode = (): Promise<string> => codeOf(provider.client.decrypt(sample));
  const encryptCode = (): Promise<string> => codeOf(provider.client.encrypt(seed));

  beforeAll(async () => {
    openbao = await startOpenBao(binary("bao"));
  }, TEST_TIMEOUT_MS);
  afterAll(() => openbao.dispose());
  afterEach(() => provider.dispose());

  describe("with a provider that is up", () => {
    let pid: number;
    let keyId: string;
    beforeEach(async () => {
      await provisionNext();
      await prepare();
      await provider.start();
      sample = await provider.client.encrypt(seed);
      keyId = sample.keyId;
      pid = provider.pid();
    }, TEST_TIMEOUT_MS);

    /** All is as before, in the same process. */
    const expectRecovery = async (): Promise<void> => {
      await untilOk(provider);
      expect(await opens(provider, sample, seed)).toBe(true);
      expect(await encryptCode()).toBe("OK");
      expect([provider.pid(), provider.exited()]).toEqual([pid, false]);
      expect((await provider.client.status()).keyId).toBe(keyId);
      await eventually("ready again", async () => (await provider.health("/ready")).status === 200, {
        timeoutMs: 10_000,
      });
    };
    /** OpenBao cannot be asked or says no: Status keeps the key_id, and liveness has nothing to do with it. */
    const expectOutage = async (): Promise<string> => {
      const healthz = await untilNotOk(provider);
      expect((await provider.client.status()).keyId).toBe(keyId);
      expect((await provider.health("/live")).status).toBe(200);
      expect((await provider.health("/ready")).status).toBe(503);
      return healthz;
    };

    test(
      "sealed and unsealed",
      async () => {
        await openbao.seal();
        expect(await expectOutage()).toBe("openbao_sealed");
        expect(await decryptCode()).toBe("UNAVAILABLE");
        await openbao.unseal();
        await expectRecovery();
      },
      TEST_TIMEOUT_MS,
    );
    test(
      "killed and started again",
      async () => {
        await openbao.kill();
        await expectOutage();
        const began = performance.now();
        expect(await decryptCode()).toBe("UNAVAILABLE");
        expect(performance.now() - began).toBeLessThan(500);
        await openbao.start();
        await expectRecovery();
      },
      TEST_TIMEOUT_MS,
    );
    test(
      "stopped by SIGSTOP: calls end at their deadline, then at once",
      async () => {
        openbao.pause();
        await expectOutage();
        const began = performance.now();
        expect(["UNAVAILABLE", "DEADLINE_EXCEEDED"]).toContain(await decryptCode());
        expect(performance.now() - began).toBeLessThan(3500);
        openbao.resume();
        await expectRecovery();
      },
      TEST_TIMEOUT_MS,
    );
    test(
      "token revoked: one new login, no failed call",
      async () => {
        // A younger token is not given up for a 403, because a standby may not know it yet.
        await Bun.sleep(YOUNG_TOKEN_MS);
        await post(`sys/leases/revoke-prefix/auth/${names.jwtMount}`);
        expect(await decryptCode()).toBe("OK");
        await expectRecovery();
      },
      TEST_TIMEOUT_MS,
    );
    test(
      "policy removed and given back",
      async () => {
        const path = `sys/policies/acl/${names.policyName}`;
        const policy = textAt(await openbao.operator.must("GET", path), "data", "policy");
        await openbao.operator.must("DELETE", path);
        await expectOutage();
        expect(await decryptCode()).not.toBe("OK");
        await post(path, { policy });
        await expectRecovery();
      },
      TEST_TIMEOUT_MS,
    );
    test(
      "rotated twice: the key_id changes once each, every version opens",
      async () => {
        const made = [sample];
        for (let rotation = 0; rotation < 2; rotation += 1) {
          await post(`${keyPath()}/rotate`);
          await untilKeyIdChanges(provider, made.at(-1)?.keyId ?? "");
          const next = await provider.client.encrypt(seed);
          expect(next.keyId).toBe((await provider.client.status()).keyId);
          made.push(next);
        }
        expect(new Set(made.map((each) => each.keyId)).size).toBe(3);
        for (const each of made) {
          expect(await opens(provider, each, seed)).toBe(true);
        }
        await provider.kill();
        await provider.start();
        expect((await provider.client.status()).keyId).toBe(made[2]?.keyId ?? "");
        expect(await opens(provider, sample, seed)).toBe(true);
      },
      TEST_TIMEOUT_MS,
    );
    test(
      "disable_upsert off: nothing is encrypted, everything decrypts",
      async () => {
        await post(`${names.mount}/config/keys`, { disable_upsert: false });
        await expectOutage();
        await eventually("Encrypt is refused", async () => (await encryptCode()) !== "OK", {
          timeoutMs: 5000,
        });
        expect(await opens(provider, sample, seed)).toBe(true);
        await post(`${names.mount}/config/keys`, { disable_upsert: true });
        await expectRecovery();
      },
      TEST_TIMEOUT_MS,
    );
    test(
      "profile drift that cannot be undone: nothing is encrypted, everything decrypts",
      async () => {
        await post(`${keyPath()}/config`, { exportable: true });
        await expectOutage();
        await eventually("Encrypt is refused", async () => (await encryptCode()) !== "OK", {
          timeoutMs: 5000,
        });
        expect(await opens(provider, sample, seed)).toBe(true);
      },
      TEST_TIMEOUT_MS,
    );
    test(
      "soft-deleted: the active version is lost; restored: as before",
      async () => {
        await openbao.operator.must("DELETE", `${keyPath()}/soft-delete`);
        await untilStatusCode(provider, "FAILED_PRECONDITION");
        expect(await encryptCode()).not.toBe("OK");
        await post(`${keyPath()}/soft-delete-restore`);
        await expectRecovery();
      },
      TEST_TIMEOUT_MS,
    );
    test(
      "min_decryption_version above the active version: lost until it is lowered",
      async () => {
        await provider.dispose();
        // Promotion is far away, so that the active version stays behind the latest.
        await prepare({ config: { rotation: { activationDelay: "1h", requireStableObservationCount: 2 } } });
        await provider.start();
        sample = await provider.client.encrypt(seed);
        pid = provider.pid();
        await post(`${keyPath()}/rotate`);
        await post(`${keyPath()}/config`, { min_decryption_version: 2 });
        await untilStatusCode(provider, "FAILED_PRECONDITION");
        expect(await decryptCode()).not.toBe("OK");
        await post(`${keyPath()}/config`, { min_decryption_version: 1 });
        await expectRecovery();
      },
      TEST_TIMEOUT_MS,
    );
    test(
      "the provider stopped by SIGSTOP and continued: the version that came meanwhile is promoted in its time",
      async () => {
        provider.pause();
        await post(`${keyPath()}/rotate`);
        await Bun.sleep(2000);
        provider.resume();
        expect((await provider.client.status()).keyId).toBe(keyId);
        const after = await untilKeyIdChanges(provider, keyId);
        expect((await provider.client.encrypt(seed)).keyId).toBe(after);
        expect(await opens(provider, sample, seed)).toBe(true);
      },
      TEST_TIMEOUT_MS,
    );
    test(
      "JWT gone and token revoked: out until the file is back",
      async () => {
        await Bun.sleep(YOUNG_TOKEN_MS);
        rmSync(`${provider.dir}/identity.jwt`);
        await post(`sys/leases/revoke-prefix/auth/${names.jwtMount}`);
        await expectOutage();
        provider.writeJwt();
        await expectRecovery();
      },
      TEST_TIMEOUT_MS,
    );
    test(
      "deleted and made again: lost for good, never confused with the new key",
      async () => {
        await post(`${keyPath()}/config`, { deletion_allowed: true });
        await openbao.operator.must("DELETE", keyPath());
        await untilStatusCode(provider, "FAILED_PRECONDITION");
        // A version made within the same second would have the same creation time.
        await Bun.sleep(1100);
        await post(keyPath(), { type: "aes256-gcm96" });
        await Bun.sleep(2000);
        expect(await codeOf(provider.client.status())).toBe("FAILED_PRECONDITION");
        expect(await decryptCode()).not.toBe("OK");
        expect(await encryptCode()).not.toBe("OK");
      },
      TEST_TIMEOUT_MS,
    );
    test(
      "certificate renewed, then the CA replaced with overlap",
      async () => {
        const next = await makeTestCa({ commonName: "next CA" });
        await openbao.replaceCertificate(await openbao.ca.server());
        expect(await decryptCode()).toBe("OK");
        provider.writeCa(openbao.caPem + next.certPem);
        await openbao.replaceCertificate(await next.server());
        try {
          await eventually("Decrypt works under the new CA", async () => (await decryptCode()) === "OK", {
            timeoutMs: 20_000,
          });
          provider.writeCa(next.certPem);
          await untilOk(provider);
        } finally {
          await openbao.replaceCertificate(await openbao.ca.server());
        }
      },
      TEST_TIMEOUT_MS,
    );
    test(
      "SIGTERM: exit 0, token revoked, socket gone",
      async () => {
        const before = openbao.auditLog().length;
        expect(await provider.stop()).toBe(0);
        expect(existsSync(provider.socketPath)).toBe(false);
        expect(openbao.auditLog().slice(before)).toContain("auth/token/revoke-self");
      },
      TEST_TIMEOUT_MS,
    );
    test(
      "a second instance leaves the first alone",
      async () => {
        const second = spawnSync(provider.executable, ["serve", "--config", provider.configPath], {
          encoding: "utf8",
          timeout: 10_000,
        });
        expect(second.status).not.toBe(0);
        expect(await decryptCode()).toBe("OK");
      },
      TEST_TIMEOUT_MS,
    );
    test(
      "nothing secret is in logs, metrics, health or state",
      async () => {
        await provider.client.encrypt(seed);
        const everything = [
          provider.output(),
          await provider.metrics(),
          (await provider.health("/ready")).body,
          await Bun.file(provider.statePath).text(),
        ].join("\n");
        expect(everything).not.toMatch(/\bs\.[A-Za-z0-9]{24}/);
        expect(everything).not.toContain(Buffer.from(seed).toString("base64"));
        expect(everything).not.toMatch(/eyJ[\w-]+\.eyJ/);
      },
      TEST_TIMEOUT_MS,
    );
  });

  describe("tokens that live for seconds", () => {
    test(
      "re-login when renewal reaches the maximum: no failed call in 15 s",
      async () => {
        await provisionNext({ tokenTtl: "4s", tokenMaxTtl: "6s" });
        await prepare({ config: { auth: { loginBeforeTokenExpiry: "1s", tokenRenewalIncrement: "4s" } } });
        await provider.start();
        sample = await provider.client.encrypt(seed);
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
  });

  describe("starts", () => {
    test(
      "before OpenBao: the reason is logged, and the start goes on when it is there",
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
      "before its JWT is there",
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
      "with a registry while OpenBao is away: Status at once with the key_id and a reason, nothing encrypted",
      async () => {
        await provisionNext();
        await prepare();
        await provider.start();
        sample = await provider.client.encrypt(seed);
        await provider.stop();
        await openbao.kill();
        provider.spawn();
        const healthz = await untilNotOk(provider);
        expect(healthz).not.toBe("");
        expect((await provider.client.status()).keyId).toBe(sample.keyId);
        expect(await encryptCode()).not.toBe("OK");
        expect((await provider.health("/live")).status).toBe(200);
        await openbao.start();
        await untilOk(provider);
        expect(await opens(provider, sample, seed)).toBe(true);
      },
      TEST_TIMEOUT_MS,
    );
    test(
      "with a wrong role: exits after the grace and names the reason last",
      async () => {
        await provisionNext();
        names = { ...names, role: "nobody" };
        await prepare({ config: { bootstrap: { graceTimeout: "1s", retryInterval: "100ms" } } });
        provider.spawn();
        await eventually("it exits", () => provider.exited(), { timeoutMs: 15_000 });
        expect(provider.exitCode()).not.toBe(0);
        expect(provider.log().at(-1)?.["error_class"]).toBe("auth_failed");
      },
      TEST_TIMEOUT_MS,
    );
    test(
      "a rotated key and no state: fails closed and says so",
      async () => {
        await provisionNext();
        await post(`${keyPath()}/rotate`);
        await prepare({ config: { bootstrap: { graceTimeout: "1s", retryInterval: "100ms" } } });
        provider.spawn();
        await eventually("it exits", () => provider.exited(), { timeoutMs: 15_000 });
        expect(provider.exitCode()).not.toBe(0);
        expect(provider.log().at(-1)?.["error_class"]).toBe("registry_invalid");
        expect(existsSync(provider.statePath)).toBe(false);
      },
      TEST_TIMEOUT_MS,
    );
  });
});
