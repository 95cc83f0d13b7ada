/**
 * @module The PKCS#11 token with SoftHSM, and with a module that misbehaves. TLS against OpenSSL, every failure by its code,
 * one C_Login per wrong PIN, and a helper that is gone afterwards.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { ProviderError } from "../../src/base/error-class.ts";
import { ConnectionFailure } from "../../src/pkcs11/errors.ts";
import { helperProcess } from "../../src/pkcs11/helper-process.ts";
import { loginRecord } from "../../src/pkcs11/login-record.ts";
import { type Pkcs11Token, pkcs11Token } from "../../src/pkcs11/token.ts";
import { ADDON_DIRECTORY, describeWithToken, SOFTHSM_MODULE } from "../fakes/pkcs11/requirements.ts";
import {
  makeSoftToken,
  type SoftKeyType,
  type SoftToken,
  TOKEN_LABEL,
  USER_PIN,
} from "../fakes/pkcs11/soft-token.ts";
import { makeTestCa, type TestCa } from "../fakes/tls/test-ca.ts";
import { startOpensslServer } from "../harness/openssl-server.ts";
import { requireReal } from "../harness/real-suite.ts";

const HELPER = join(import.meta.dir, "..", "fakes", "pkcs11", "helper-entry.ts");

interface Change {
  readonly modulePath?: string;
  readonly tokenLabel?: string;
  readonly keyLabel?: string;
  readonly pinFile?: string;
  readonly serverName?: string;
  readonly addons?: string;
  readonly maxSessions?: number;
}

const codeOf = (answer: Promise<unknown>): Promise<string> =>
  answer.then(
    () => "ok",
    (error: unknown) =>
      error instanceof ProviderError || error instanceof ConnectionFailure ? error.code : String(error),
  );
const ders = (pem: string): readonly Uint8Array[] =>
  (pem.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g) ?? []).map(
    (each) => new X509Certificate(each).raw,
  );

describeWithToken("a PKCS#11 token", () => {
  let token: SoftToken;
  let ca: TestCa;
  let chain: readonly Uint8Array[];
  beforeAll(async () => {
    token = makeSoftToken();
    ca = await makeTestCa();
    chain = ders((await ca.certify(token.makeKey("client", "P-256"))).chainPem);
  });
  afterAll(() => token[Symbol.dispose]());

  const service = (change: Change = {}): Pkcs11Token => {
    const recordPath = join(token.directory, "record.db");
    return pkcs11Token({
      token: {
        modulePath: change.modulePath ?? SOFTHSM_MODULE,
        tokenLabel: change.tokenLabel ?? TOKEN_LABEL,
        keyLabel: change.keyLabel ?? "client",
        maxSessions: change.maxSessions ?? 2,
      },
      pinFile: change.pinFile ?? token.pinFile,
      serviceUid: process.geteuid?.() ?? 0,
      serverName: change.serverName ?? "localhost",
      recordPath,
      holdRecord: loginRecord(recordPath, systemClock),
      clock: systemClock,
      runHelper: helperProcess({
        command: [process.execPath, HELPER, change.addons ?? ADDON_DIRECTORY],
        environment: token.environment,
        clock: systemClock,
      }),
    });
  };
  const call = (timeoutMs = 10_000) => ({ timeoutMs, signal: new AbortController().signal });
  const prove = (change?: Change, timeoutMs?: number): Promise<string> =>
    codeOf(service(change).prove(chain, call(timeoutMs)));
  const get = async (
    port: number,
    certificates = chain,
    trusted = ca,
    change: Change = {},
  ): Promise<string> => {
    const answer = await service(change).request(
      { chain: certificates, ca: ders(trusted.certPem) },
      { ...call(), method: "GET", url: `https://127.0.0.1:${port}/`, headers: {}, maxBytes: 65_536 },
    );
    return new TextDecoder().decode(answer.body);
  };

  describe("speaks TLS with a key that stays in it", () => {
    test.each<[SoftKeyType, string]>([
      ["P-256", "ECDSA"],
      ["P-384", "ECDSA"],
      ["RSA-2048", "RSA"],
      ["RSA-4096", "RSA"],
    ])(
      "%s, TLS 1.2 and 1.3, with an intermediate",
      async (type, family) => {
        const intermediate = await ca.intermediate();
        const certificates = ders((await intermediate.certify(token.makeKey(type, type))).chainPem);
        expect(certificates).toHaveLength(2);
        const { chainPem, keyPem } = await ca.server();
        for (const version of ["1.2", "1.3"] as const) {
          const server = await startOpensslServer({
            directory: token.directory,
            chainPem,
            keyPem,
            caPem: ca.certPem,
            version,
          });
          try {
            const page = await get(server.port, certificates, ca, { keyLabel: type });
            expect(page).toContain(`TLSv${version}`);
            expect(page).toContain(family);
          } finally {
            server.stop();
          }
        }
      },
      30_000,
    );

    test("and knows a wrong CA, a wrong name, a refused certificate, and a server that is not there", async () => {
      const { chainPem, keyPem } = await ca.server();
      const options = {
        directory: token.directory,
        chainPem,
        keyPem,
        caPem: ca.certPem,
        version: "1.3",
      } as const;
      const server = await startOpensslServer(options);
      const other = await makeTestCa({ commonName: "another root" });
      expect(await codeOf(get(server.port, chain, other))).toBe("server_untrusted");
      expect(await codeOf(get(server.port, chain, ca, { serverName: "bao.example" }))).toBe("server_name");
      const foreign = ders((await other.certify(token.makeKey("foreign", "P-256"))).chainPem);
      expect(await codeOf(get(server.port, foreign, ca, { keyLabel: "foreign" }))).toBe("client_refused");
      server.stop();
      expect(await codeOf(get(1))).toBe("connect_refused");
    });
  });

  describe("names what is wrong", () => {
    test("with the module, the token, the key and the addons", async () => {
      expect(await codeOf(service().inspect(call()))).toBe("ok");
      expect(await prove()).toBe("ok");
      expect(await prove({ addons: "/no/such/directory" })).toBe("addon_missing");
      expect(await prove({ modulePath: "/no/such/module.so" })).toBe("module_missing");
      const text = join(token.directory, "text.so");
      writeFileSync(text, "not a module", { mode: 0o644 });
      expect(await prove({ modulePath: text })).toBe("module_broken");
      writeFileSync(join(token.directory, "open.so"), "", { mode: 0o644 });
      Bun.spawnSync(["chmod", "666", join(token.directory, "open.so")]);
      expect(await prove({ modulePath: join(token.directory, "open.so") })).toBe("module_unsafe");
      expect(await prove({ tokenLabel: "another" })).toBe("token_missing");
      expect(await prove({ keyLabel: "another" })).toBe("key_missing");
      token.makeKey("twin", "P-256");
      expect(await prove({ keyLabel: "twin" })).toBe("key_mismatch");
      token.makeKey("twin", "P-256");
      expect(await prove({ keyLabel: "twin" })).toBe("key_ambiguous");
      token.makeKey("rsa", "RSA-2048");
      expect(await prove({ keyLabel: "rsa" })).toBe("key_type_mismatch");
    }, 20_000);

    test("with the token's own counts and flags, before a PIN is given to it", async () => {
      for (const [behaviour, code] of [
        ["flags 40000", "pin_locked"],
        ["flags 20000", "pin_final_try"],
        ["sessions 4 4", "sessions_exhausted"],
        ["sessions 0 2", "sessions_exhausted"],
      ] as const) {
        const modulePath = token.stubModule(behaviour);
        const before = token.logins();
        expect(await prove({ modulePath })).toBe(code);
        expect(token.logins()).toBe(before);
      }
      expect(await prove({ modulePath: token.stubModule("sessions 0 2"), maxSessions: 3 })).toBe("ok");
    }, 20_000);
  });

  describe("given a wrong PIN", () => {
    test("receives it once, however often it is asked and by which process, until the file is a new one", async () => {
      const modulePath = token.stubModule();
      const before = token.logins();
      token.writePin("000000");
      const codes = [await prove({ modulePath }), await prove({ modulePath }), await prove({ modulePath })];
      expect(codes).toEqual(["pin_refused", "pin_latched", "pin_latched"]);
      expect(token.logins() - before).toBe(1);
      token.writePin("111111\n");
      const together = await Promise.all([
        prove({ modulePath }),
        prove({ modulePath }),
        prove({ modulePath }),
      ]);
      expect(together.sort()).toEqual(["pin_latched", "pin_latched", "pin_refused"]);
      expect(token.logins() - before).toBe(2);
      token.writePin("two\nlines");
      expect(await prove({ modulePath })).toBe("pin_invalid");
      token.writePin(USER_PIN);
      expect(await prove({ modulePath })).toBe("ok");
      expect(token.logins() - before).toBe(3);
    }, 20_000);

    test("and killed before it could answer, does not receive it again", async () => {
      const modulePath = token.stubModule("login after-hang");
      const before = token.logins();
      token.writePin("222222");
      expect(await prove({ modulePath }, 700)).toBe("module_hung");
      token.stubModule();
      expect(await prove({ modulePath })).toBe("pin_tried_before");
      expect(token.logins() - before).toBe(1);
      token.writePin(USER_PIN);
      expect(await prove({ modulePath })).toBe("ok");
    }, 20_000);
  });

  describe("with a module that misbehaves costs one login", () => {
    const everyday = [
      ["login hang", "module_hung"],
      ["init spin", "module_hung"],
      ["sign crash", "module_crashed"],
      ["sign forkquit", "module_crashed"],
      ["sign noisy", "sign_failed"],
    ];
    const thorough = [
      ["sign hang", "module_hung"],
      ["slots block", "module_hung"],
      ["login fork", "module_hung"],
      ["sign flood", "module_hung"],
      ["init crash", "module_crashed"],
      ["slots quit", "module_crashed"],
      ["login fail", "login_failed"],
      ["slots fail", "token_failed"],
      ["init fail", "module_broken"],
    ];
    test.each(requireReal() ? [...everyday, ...thorough] : everyday)(
      "%s: %s, and the next login succeeds",
      async (behaviour = "", code = "") => {
        const modulePath = token.stubModule(behaviour);
        let ticks = 0;
        const ticker = setInterval(() => (ticks += 1), 20);
        // What ends by itself gets time on a busy machine; what hangs is to be cut off.
        const deadlineMs = code === "module_hung" ? 700 : 8000;
        const started = performance.now();
        expect(await prove({ modulePath }, deadlineMs)).toBe(code);
        const tookMs = performance.now() - started;
        clearInterval(ticker);
        expect(tookMs).toBeLessThan(deadlineMs + 2000);
        expect(ticks).toBeGreaterThan(0);
        token.stubModule();
        expect(await prove({ modulePath })).toBe("ok");
      },
      20_000,
    );
  });
});
