/**
 * Starts that come too early, tokens that live for seconds, and the end of the compiled executable.
 */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { eventually } from "../harness/eventually.ts";
import { makeFaultStage, TEST_TIMEOUT_MS } from "../harness/fault-stage.ts";
import { untilNotOk, untilOk } from "../harness/outage.ts";
import { describeReal } from "../harness/real-suite.ts";

describeReal("life cycle", { needs: ["bao"], long: true }, (binary) => {
  const stage = makeFaultStage();
  beforeAll(() => stage.open(binary("bao")), TEST_TIMEOUT_MS);
  afterAll(() => stage.close());
  afterEach(() => stage.provider.dispose());

  test(
    "re-login when renewal reaches the maximum: no failed call in 15 s",
    async () => {
      await stage.provisionNext({ tokenTtl: "4s", tokenMaxTtl: "6s" });
      await stage.prepare({
        config: { auth: { loginBeforeTokenExpiry: "1s", tokenRenewalIncrement: "4s" } },
      });
      await stage.provider.start();
      await stage.takeSample();
      const end = performance.now() + 15_000;
      while (performance.now() < end) {
        expect(await stage.decryptCode()).toBe("OK");
        await Bun.sleep(100);
      }
      const logins = stage.provider.log().filter(({ message }) => message === "auth.login").length;
      expect(logins).toBeWithin(3, 12);
    },
    TEST_TIMEOUT_MS,
  );
  test(
    "a start before OpenBao: the reason is logged, and the start continues when OpenBao is there",
    async () => {
      await stage.provisionNext();
      await stage.prepare();
      await stage.openbao.kill();
      stage.provider.spawn();
      await Bun.sleep(1500);
      expect(stage.provider.exited()).toBe(false);
      await stage.openbao.start();
      await untilOk(stage.provider);
    },
    TEST_TIMEOUT_MS,
  );
  test(
    "a start before its JWT is there",
    async () => {
      await stage.provisionNext();
      await stage.prepare();
      rmSync(`${stage.provider.dir}/identity.jwt`);
      stage.provider.spawn();
      await Bun.sleep(1000);
      expect(stage.provider.exited()).toBe(false);
      stage.provider.writeJwt();
      await untilOk(stage.provider);
    },
    TEST_TIMEOUT_MS,
  );
  test(
    "a start with a registry while OpenBao is away: Status at once with the key_id and a reason, nothing encrypted",
    async () => {
      await stage.provisionNext();
      await stage.prepare();
      await stage.provider.start();
      await stage.takeSample();
      await stage.provider.stop();
      await stage.openbao.kill();
      stage.provider.spawn();
      const healthz = await untilNotOk(stage.provider);
      expect(healthz).not.toBe("");
      expect((await stage.provider.client.status()).keyId).toBe(stage.sample.keyId);
      expect(await stage.encryptCode()).not.toBe("OK");
      expect((await stage.provider.health("/live")).status).toBe(200);
      await stage.openbao.start();
      await untilOk(stage.provider);
      expect(await stage.opensSample()).toBe(true);
    },
    TEST_TIMEOUT_MS,
  );
  test(
    "a start with a wrong role: exits after the grace and names the reason last",
    async () => {
      await stage.provisionNext();
      await stage.prepare({
        names: { ...stage.names, role: "unknown-role" },
        config: { bootstrap: { graceTimeout: "1s", retryInterval: "100ms" } },
      });
      stage.provider.spawn();
      await eventually("it exits", () => stage.provider.exited(), { timeoutMs: 15_000 });
      expect(stage.provider.exitCode()).not.toBe(0);
      expect(stage.provider.log().at(-1)?.["error_class"]).toBe("auth_failed");
    },
    TEST_TIMEOUT_MS,
  );
  test(
    "a start on a rotated key without state: fails closed and says so",
    async () => {
      await stage.provisionNext();
      await stage.post(`${stage.keyPath()}/rotate`);
      await stage.prepare({ config: { bootstrap: { graceTimeout: "1s", retryInterval: "100ms" } } });
      stage.provider.spawn();
      await eventually("it exits", () => stage.provider.exited(), { timeoutMs: 15_000 });
      expect(stage.provider.exitCode()).not.toBe(0);
      expect(stage.provider.log().at(-1)?.["error_class"]).toBe("registry_invalid");
      expect(existsSync(stage.provider.statePath)).toBe(false);
    },
    TEST_TIMEOUT_MS,
  );
  test(
    "SIGTERM: exit 0, token revoked, socket gone",
    async () => {
      await stage.startFresh();
      const before = stage.openbao.auditLog().length;
      expect(await stage.provider.stop()).toBe(0);
      expect(existsSync(stage.provider.socketPath)).toBe(false);
      expect(stage.openbao.auditLog().slice(before)).toContain("auth/token/revoke-self");
    },
    TEST_TIMEOUT_MS,
  );
  test(
    "a second instance leaves the first alone",
    async () => {
      await stage.startFresh();
      const second = spawnSync(stage.provider.executable, ["serve", "--config", stage.provider.configPath], {
        encoding: "utf8",
        timeout: 10_000,
      });
      expect(second.status).not.toBe(0);
      expect(second.stdout).toContain('"code":"instance_running"');
      expect(await stage.decryptCode()).toBe("OK");
    },
    TEST_TIMEOUT_MS,
  );
  test(
    "nothing secret is in logs, metrics, health or state",
    async () => {
      await stage.startFresh();
      await stage.provider.client.encrypt(stage.seed);
      const everything = [
        stage.provider.output(),
        await stage.provider.metrics(),
        (await stage.provider.health("/ready")).body,
        await Bun.file(stage.provider.statePath).text(),
      ].join("\n");
      expect(everything).not.toMatch(/\bs\.[A-Za-z0-9]{24}/);
      expect(everything).not.toContain(Buffer.from(stage.seed).toString("base64"));
      expect(everything).not.toMatch(/eyJ[\w-]+\.eyJ/);
    },
    TEST_TIMEOUT_MS,
  );
});
