/**
 * OpenBao away, sealed, stopped or saying no, caused for real, against the compiled executable.
 */
import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { textAt } from "../fakes/openbao/json-at.ts";
import { makeTestCa } from "../fakes/tls/test-ca.ts";
import { eventually } from "../harness/eventually.ts";
import { describeFaults, TEST_TIMEOUT_MS, YOUNG_TOKEN_MS } from "../harness/fault-stage.ts";
import { untilOk } from "../harness/outage.ts";

describeFaults("OpenBao away or saying no", (stage) => {
  test(
    "sealed and unsealed",
    async () => {
      await stage.openbao.seal();
      expect(await stage.expectOutage()).toBe("openbao_sealed");
      expect(await stage.decryptCode()).toBe("UNAVAILABLE");
      await stage.openbao.unseal();
      await stage.expectRecovery();
    },
    TEST_TIMEOUT_MS,
  );
  test(
    "killed and started again",
    async () => {
      await stage.openbao.kill();
      await stage.expectOutage();
      const began = performance.now();
      expect(await stage.decryptCode()).toBe("UNAVAILABLE");
      expect(performance.now() - began).toBeLessThan(500);
      await stage.openbao.start();
      await stage.expectRecovery();
    },
    TEST_TIMEOUT_MS,
  );
  test(
    "stopped by SIGSTOP: calls end at their deadline, then at once",
    async () => {
      stage.openbao.pause();
      await stage.expectOutage();
      const began = performance.now();
      expect(["UNAVAILABLE", "DEADLINE_EXCEEDED"]).toContain(await stage.decryptCode());
      expect(performance.now() - began).toBeLessThan(3500);
      stage.openbao.resume();
      await stage.expectRecovery();
    },
    TEST_TIMEOUT_MS,
  );
  test(
    "token revoked: one new login, no failed call",
    async () => {
      // A younger token is not given up for a 403, because a standby may not know it yet.
      await Bun.sleep(YOUNG_TOKEN_MS);
      await stage.post(`sys/leases/revoke-prefix/auth/${stage.names.jwtMount}`);
      expect(await stage.decryptCode()).toBe("OK");
      await stage.expectRecovery();
    },
    TEST_TIMEOUT_MS,
  );
  test(
    "policy removed and given back",
    async () => {
      const path = `sys/policies/acl/${stage.names.policyName}`;
      const policy = textAt(await stage.openbao.operator.must("GET", path), "data", "policy");
      await stage.openbao.operator.must("DELETE", path);
      await stage.expectOutage();
      expect(await stage.decryptCode()).not.toBe("OK");
      await stage.post(path, { policy });
      await stage.expectRecovery();
    },
    TEST_TIMEOUT_MS,
  );
  test(
    "JWT gone and token revoked: out until the file is back",
    async () => {
      await Bun.sleep(YOUNG_TOKEN_MS);
      rmSync(`${stage.provider.dir}/identity.jwt`);
      await stage.post(`sys/leases/revoke-prefix/auth/${stage.names.jwtMount}`);
      await stage.expectOutage();
      stage.provider.writeJwt();
      await stage.expectRecovery();
    },
    TEST_TIMEOUT_MS,
  );
  test(
    "certificate renewed, then the CA replaced with overlap",
    async () => {
      const next = await makeTestCa({ commonName: "next CA" });
      await stage.openbao.replaceCertificate(await stage.openbao.ca.server());
      expect(await stage.decryptCode()).toBe("OK");
      stage.provider.writeCa(stage.openbao.caPem + next.certPem);
      await stage.openbao.replaceCertificate(await next.server());
      try {
        await eventually("Decrypt works under the new CA", async () => (await stage.decryptCode()) === "OK", {
          timeoutMs: 20_000,
        });
        stage.provider.writeCa(next.certPem);
        await untilOk(stage.provider);
      } finally {
        await stage.openbao.replaceCertificate(await stage.openbao.ca.server());
      }
    },
    TEST_TIMEOUT_MS,
  );
});
