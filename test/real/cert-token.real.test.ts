/**
 * @module Certificate login at a real OpenBao with a key that stays in a PKCS#11 token, as the composition root builds it. The
 * role is made by the commands of the operators' page.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TransitAccess } from "../../src/provider/transit-access.ts";
import { codeOf } from "../fakes/code-of.ts";
import { configFile, onOpenBao } from "../fakes/config-file.ts";
import { makeJwtIssuer } from "../fakes/openbao/jwt-issuer.ts";
import { type Provisioning, provision } from "../fakes/openbao/provision.ts";
import { ADDON_DIRECTORY, describeWithToken } from "../fakes/pkcs11/requirements.ts";
import { makeSoftToken, type SoftToken, TOKEN_LABEL, USER_PIN } from "../fakes/pkcs11/soft-token.ts";
import { type LeafOptions, makeTestCa, type TestCa } from "../fakes/tls/test-ca.ts";
import { type RealOpenBao, startOpenBao } from "../harness/openbao.ts";
import { describeReal } from "../harness/real-suite.ts";
import { transitAccess } from "../harness/transit-access.ts";
import { blocksIn } from "../packaging/doc-blocks.ts";

const PAGE = join(import.meta.dir, "..", "..", "docs", "configure", "auth-cert.md");
const HELPER = join(import.meta.dir, "..", "fakes", "pkcs11", "helper-entry.ts");

describeReal("certificate login from a token at a real OpenBao", { needs: ["bao"] }, (binary) => {
  describeWithToken("with SoftHSM", () => {
    let bao: RealOpenBao;
    let token: SoftToken;
    let ca: TestCa;
    let names: Provisioning;
    let access: TransitAccess;

    beforeAll(async () => {
      token = makeSoftToken();
      ca = await makeTestCa({ commonName: "control plane CA" });
      bao = await startOpenBao(binary("bao"));
      // The policy that the page names.
      names = await provision(bao.operator, makeJwtIssuer().publicKeyPem, { policyName: "openbao-kms" });
      write("control-plane-ca.pem", ca.certPem);
      runPage("auth-cert.md#role");
      write("ca.pem", bao.caPem);
      await present("first");
      access = await openAccess();
    }, 60_000);
    afterAll(async () => {
      await access.session.close(2000);
      access.transport.close();
      await bao.dispose();
      token[Symbol.dispose]();
    });

    /** A block of docs/configure/auth-cert.md, with OpenBao's command line tool. */
    const runPage = (id: string): void => {
      const page = readFileSync(PAGE, "utf8");
      const block = blocksIn("auth-cert.md", page).find((each) => each.id === id);
      const { status, stderr } = spawnSync("sh", ["-euc", block?.text ?? "exit 9"], {
        cwd: token.directory,
        encoding: "utf8",
        env: { ...bao.environment, BAO_TLS_SERVER_NAME: "localhost" },
      });
      expect([status, stderr]).toEqual([0, ""]);
    };
    const write = (name: string, text: string): string => {
      const path = join(token.directory, name);
      writeFileSync(path, text, { mode: 0o600 });
      return path;
    };
    /** A new key in the token under the one label, and the certificate for it. */
    const present = async (keyLabel: string, from = ca, options: LeafOptions = {}): Promise<void> => {
      const spki = token.makeKey(keyLabel, "P-256");
      const notAfter = new Date(Date.now() + 72 * 3_600_000);
      const leaf = await from.certify(spki, { commonName: "control-plane-1", notAfter, ...options });
      write("chain.pem", leaf.chainPem);
    };
    const openAccess = (keyLabel = "first", serverName = "localhost") => {
      const text = configFile((fields) => ({
        ...onOpenBao(
          fields,
          { address: bao.address, caCertFile: join(token.directory, "ca.pem"), serverName },
          names,
        ),
        state: { path: join(token.directory, "registry.json") },
        auth: {
          method: "cert",
          cert: {
            mountPath: "auth/cert",
            name: "openbao-kms",
            source: "pkcs11",
            pkcs11: {
              certificateFile: join(token.directory, "chain.pem"),
              modulePath: token.stubModule(),
              tokenLabel: TOKEN_LABEL,
              keyLabel,
              pinFile: token.pinFile,
            },
          },
        },
      }));
      return transitAccess(text, {
        helper: { command: [process.execPath, HELPER, ADDON_DIRECTORY], environment: token.environment },
      });
    };
    const read = (through: TransitAccess): Promise<string> =>
      codeOf(through.transit.readKey(AbortSignal.timeout(15_000)));
    /** A login of its own. */
    const logIn = async (keyLabel?: string, serverName?: string): Promise<string> => {
      const own = await openAccess(keyLabel, serverName);
      const code = await read(own);
      await own.session.close(2000);
      own.transport.close();
      return code;
    };

    test("reads the key with the token that it got, over the ordinary connection", async () => {
      const before = token.logins();
      expect([await read(access), await read(access)]).toEqual(["ok", "ok"]);
      expect(token.logins() - before).toBe(1);
      expect(access.session.health().credentialExpiresAtMs).toBeGreaterThan(Date.now());
    });

    test("takes a renewed certificate, and a new PIN file, without a new start", async () => {
      await present("renewed", await ca.intermediate());
      expect(await logIn("renewed")).toBe("ok");
      token.writePin("000000");
      expect([await logIn("renewed"), await logIn("renewed")]).toEqual(["pin_refused", "pin_latched"]);
      token.writePin(USER_PIN);
      expect(await logIn("renewed")).toBe("ok");
    }, 20_000);

    test("each refusal has its code, and what can be known here costs the token nothing", async () => {
      await present("stranger", await makeTestCa());
      expect(await logIn("stranger")).toBe("login_certificate_refused");
      await present("unlisted", ca, { commonName: "another-name" });
      expect(await logIn("unlisted")).toBe("login_certificate_refused");
      expect(await logIn("first")).toBe("key_mismatch");
      expect(await logIn("unlisted", "bao.example")).toBe("tls_name_mismatch");
      const before = token.logins();
      await present("late", ca, { notBefore: new Date(0), notAfter: new Date(Date.now() - 3_600_000) });
      expect(await logIn("late")).toBe("certificate_expired");
      await present("server", ca, { extendedKeyUsages: ["serverAuth"] });
      expect(await logIn("server")).toBe("certificate_wrong_usage");
      expect(token.logins()).toBe(before);
      write("ca.pem", (await makeTestCa()).certPem);
      await present("last");
      expect(await logIn("last")).toBe("tls_untrusted");
      write("ca.pem", bao.caPem);
    }, 30_000);

    test("leaves a record of the PIN file, and nothing of the PIN", async () => {
      const record = join(token.directory, "pkcs11-login.db");
      expect(existsSync(record)).toBe(true);
      expect(await Bun.file(record).text()).not.toContain(USER_PIN);
    });
  });
});
