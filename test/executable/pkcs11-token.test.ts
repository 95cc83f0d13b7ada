/**
 * The compiled executable logs in with a key that stays in a token, under the system call filter of MemoryDenyWriteExecute=, in
 * which no JIT can work, and says by its exit code that the token refused the PIN.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { helperProcess } from "../../src/pkcs11/helper-process.ts";
import { loginRecord } from "../../src/pkcs11/login-record.ts";
import { pkcs11Token } from "../../src/pkcs11/token.ts";
import { configFile, onOpenBao } from "../fakes/config-file.ts";
import { makeJwtIssuer } from "../fakes/openbao/jwt-issuer.ts";
import { type Provisioning, provision, provisionCertLogin } from "../fakes/openbao/provision.ts";
import { ADDON_DIRECTORY, describeWithToken, SOFTHSM_MODULE } from "../fakes/pkcs11/requirements.ts";
import { makeSoftToken, type SoftToken, TOKEN_LABEL, USER_PIN } from "../fakes/pkcs11/soft-token.ts";
import { makeTestCa } from "../fakes/tls/test-ca.ts";
import { type RealOpenBao, startOpenBao } from "../harness/openbao.ts";
import { describeReal } from "../harness/real-suite.ts";

const root = join(import.meta.dir, "..", "..");

describeReal("the executable with a PKCS#11 token", { needs: ["bao"] }, (binary) => {
  describeWithToken("with SoftHSM", () => {
    let bao: RealOpenBao;
    let token: SoftToken;
    let names: Provisioning;
    let executable: string;
    let hardened: string;
    let configPath: string;
    let leaf: X509Certificate;

    const run = (command: string, ...args: readonly string[]) =>
      spawnSync(command, args, { cwd: root, encoding: "utf8", timeout: 60_000 });
    const write = (name: string, text: string): string => {
      const path = join(token.directory, name);
      writeFileSync(path, text, { mode: 0o600 });
      return path;
    };

    beforeAll(async () => {
      token = makeSoftToken();
      executable = join(token.directory, "bao-kms-provider");
      hardened = join(token.directory, "deny-writable-code");
      const source = join(root, "test", "fakes", "pkcs11", "deny-writable-code.c");
      const built = [
        run(process.execPath, "scripts/build.ts", "--test-addons", ADDON_DIRECTORY, "--outfile", executable),
        run("cc", "-o", hardened, source),
      ];
      expect(built.map(({ status, stderr }) => [status, stderr])).toEqual([
        [0, ""],
        [0, ""],
      ]);
      const ca = await makeTestCa();
      bao = await startOpenBao(binary("bao"));
      names = await provision(bao.operator, makeJwtIssuer().publicKeyPem);
      await provisionCertLogin(bao.operator, { caPem: ca.certPem, policyName: names.policyName });
      const notAfter = new Date(Date.now() + 72 * 3_600_000);
      const { chainPem } = await ca.certify(token.makeKey("client", "P-256"), { notAfter });
      leaf = new X509Certificate(chainPem);
      const state = join(token.directory, "state");
      mkdirSync(state);
      chmodSync(state, 0o750);
      configPath = write(
        "config.yaml",
        configFile((fields) => ({
          ...onOpenBao(fields, { address: bao.address, caCertFile: bao.caFile }, names),
          state: { path: join(state, "registry.json") },
          auth: {
            method: "cert",
            cert: {
              mountPath: "auth/cert",
              source: "pkcs11",
              pkcs11: {
                certificateFile: write("chain.pem", chainPem),
                modulePath: SOFTHSM_MODULE,
                tokenLabel: TOKEN_LABEL,
                keyLabel: "client",
                pinFile: token.pinFile,
              },
            },
          },
        })),
      );
    }, 120_000);
    afterAll(async () => {
      await bao.dispose();
      token[Symbol.dispose]();
    });

    /** `doctor`, with the status of each check of this method and of the login. */
    const doctor = () => {
      const { status, stdout } = spawnSync(
        hardened,
        [executable, "doctor", "--config", configPath, "--output", "json"],
        { cwd: "/", encoding: "utf8", timeout: 60_000, env: { PATH: "/usr/bin:/bin", ...token.environment } },
      );
      const report: { checks: { id: string; status: string; findings: { code: string }[] }[] } =
        JSON.parse(stdout);
      const of = (id: string) => {
        const check = report.checks.find((each) => each.id === id);
        return check?.findings[0]?.code ?? check?.status;
      };
      const ids = [
        "auth.cert.local",
        "auth.cert.pkcs11",
        "auth.cert.signer",
        "openbao.auth",
        "transit.probe",
      ];
      return { status, checks: ids.map(of), text: stdout };
    };

    test("logs in with it and uses the key, without a JIT", () => {
      expect(doctor().checks).toEqual(["passed", "passed", "passed", "passed", "passed"]);
    }, 60_000);

    test("ends with 6 for a refused PIN, does not try it again, and never shows it", () => {
      token.writePin("739156");
      const [first, second] = [doctor(), doctor()];
      expect([first.checks[2], second.checks[2]]).toEqual(["pin_refused", "pin_latched"]);
      expect([first.status, second.status]).toEqual([6, 6]);
      expect(first.text + second.text).not.toContain("739156");
      token.writePin(USER_PIN);
      expect(doctor().checks[3]).toBe("passed");
    }, 60_000);

    test("takes a login from spawn to token in a moment", async () => {
      const recordPath = join(token.directory, "state", "timing.db");
      const service = pkcs11Token({
        token: { modulePath: SOFTHSM_MODULE, tokenLabel: TOKEN_LABEL, keyLabel: "client", maxSessions: 2 },
        pinFile: token.pinFile,
        serviceUid: process.geteuid?.() ?? 0,
        serverName: "localhost",
        recordPath,
        holdRecord: loginRecord(recordPath, systemClock),
        clock: systemClock,
        runHelper: helperProcess({
          command: [executable, "pkcs11-helper"],
          environment: token.environment,
          clock: systemClock,
        }),
      });
      const times: number[] = [];
      for (let login = 0; login < 7; login += 1) {
        const startedMs = performance.now();
        const answer = await service.request(
          { chain: [leaf.raw], ca: [new X509Certificate(bao.caPem).raw] },
          {
            method: "POST",
            url: `${bao.address}/v1/auth/cert/login`,
            headers: {},
            body: "{}",
            maxBytes: 65_536,
            timeoutMs: 10_000,
            signal: new AbortController().signal,
          },
        );
        expect(answer.status).toBe(200);
        times.push(Math.round(performance.now() - startedMs));
      }
      times.sort((a, b) => a - b);
      console.log(
        `login from spawn to token: ${times[0]} ms at best, ${times[3]} ms in the middle, ${times[6]} ms at worst`,
      );
      // The goal is 150 ms on a quiet machine; a busy one must not fail the test.
      expect(times[0]).toBeLessThan(1000);
    }, 60_000);
  });
});
