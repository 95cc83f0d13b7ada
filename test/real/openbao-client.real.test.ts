/**
 * @module Our client stack, from transport to Transit, on a real OpenBao. What the stand-in cannot prove: the texts behind the
 * error table, and how connections, seals and leases really behave. The provider as a whole is tested beside this.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { createAuthenticatedClient } from "../../src/openbao/auth/authenticated-client.ts";
import { jwtFileSource, jwtLoginMethod } from "../../src/openbao/auth/jwt-method.ts";
import { type SessionReport, TokenSession } from "../../src/openbao/auth/session.ts";
import { createOpenBaoClient } from "../../src/openbao/client/client.ts";
import { createTransitClient, type TransitClient } from "../../src/openbao/transit/client.ts";
import { codeOf } from "../fakes/code-of.ts";
import { identityClaims, makeJwtIssuer } from "../fakes/openbao/jwt-issuer.ts";
import { DEFAULT_PROVISIONING, jwtRole, type Provisioning, provision } from "../fakes/openbao/provision.ts";
import { makeTestCa } from "../fakes/tls/test-ca.ts";
import { eventually } from "../harness/eventually.ts";
import { type RealOpenBao, startOpenBao } from "../harness/openbao.ts";
import { openbaoTransport } from "../harness/openbao-transport.ts";
import { describeReal } from "../harness/real-suite.ts";

const AAD = btoa("associated");
const SEED = Uint8Array.from({ length: 32 }, (_, index) => index);
const signal = (): AbortSignal => AbortSignal.timeout(10_000);

describeReal("client stack on a real OpenBao", { needs: ["bao"], long: true }, (binary) => {
  const serviceUid = process.getuid?.() ?? 0;
  const issuer = makeJwtIssuer();
  let dir: string;
  let bao: RealOpenBao;
  let names: Provisioning;

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), "client-"));
    bao = await startOpenBao(binary("bao"));
    names = await provision(bao.operator, issuer.publicKeyPem);
    writeFileSync(join(dir, "ca.pem"), bao.caPem);
    writeJwt();
  }, 60_000);
  afterAll(async () => {
    await bao.dispose();
    rmSync(dir, { recursive: true });
  });

  const writeJwt = (claims: Readonly<Record<string, unknown>> = {}, by = issuer): void =>
    writeFileSync(
      join(dir, "identity.jwt"),
      by.sign({ ...identityClaims(DEFAULT_PROVISIONING, Date.now()), ...claims }),
      { mode: 0o600 },
    );

  /** The stack as the composition root builds it, with a role of the test's own if it names one. */
  const stack = async (options: { role?: string; keyName?: string; loginBeforeExpiryMs?: number } = {}) => {
    const transport = await openbaoTransport(join(dir, "ca.pem"));
    const openbao = createOpenBaoClient({
      transport,
      clock: systemClock,
      addresses: [bao.address],
      namespace: "",
      timeoutMs: 2000,
    });
    const logins: SessionReport[] = [];
    const session = new TokenSession({
      openbao,
      clock: systemClock,
      random: Math.random,
      method: jwtLoginMethod({
        mountPath: `auth/${names.jwtMount}`,
        role: options.role ?? names.role,
        source: jwtFileSource(join(dir, "identity.jwt"), serviceUid),
        expected: { minRemainingTtlMs: 1000, leewayMs: 30_000, issuer: "", audience: [], subject: "" },
        clock: systemClock,
      }),
      loginBeforeExpiryMs: options.loginBeforeExpiryMs ?? 300_000,
      renewalIncrementMs: 3_600_000,
      loginTimeoutMs: 5000,
      callTimeoutMs: 2000,
      observer: { onLogin: (report) => logins.push(report) },
    });
    const client = createAuthenticatedClient(openbao, session);
    const transit = createTransitClient(client, {
      mountPath: names.mount,
      keyName: options.keyName ?? names.keyName,
    });
    return { transport, openbao, session, client, transit, logins };
  };

  const encrypt = (transit: TransitClient, keyVersion = 1): Promise<string> =>
    transit.encrypt({ plaintext: SEED, associatedData: AAD, keyVersion }, signal());
  const decrypt = (transit: TransitClient, ciphertext: string, associatedData = AAD): Promise<Uint8Array> =>
    transit.decrypt({ ciphertext, associatedData }, signal());
  const newKey = async (keyName: string): Promise<string> => {
    const path = `${names.mount}/keys/${keyName}`;
    await bao.operator.must("POST", path, { type: "aes256-gcm96" });
    await bao.operator.must("POST", `sys/policies/acl/${names.policyName}`, {
      policy: `path "${names.mount}/*" { capabilities = ["create", "read", "update"] }
        path "auth/token/*" { capabilities = ["read", "update"] }`,
    });
    return path;
  };

  test("logs in, reads the key, encrypts, decrypts, revokes its token", async () => {
    const { session, transit, openbao, logins } = await stack();
    expect((await transit.readKey(signal())).latestVersion).toBe(1);
    expect(await transit.readDisableUpsert(signal())).toBe(true);
    const ciphertext = await encrypt(transit);
    expect(await decrypt(transit, ciphertext)).toEqual(SEED);
    const { secret } = await session.token(signal());
    await session.close(2000);
    const lookup = openbao.call({
      operation: "token_lookup_self",
      method: "GET",
      path: "auth/token/lookup-self",
      token: secret,
      idempotent: true,
      signal: signal(),
    });
    expect(await codeOf(lookup)).toBe("permission_denied");
    expect(logins).toMatchObject([{ status: "ok" }]);
  });

  test("every refusal that Transit can be brought to has its own code", async () => {
    const { session, transit } = await stack();
    const ciphertext = await encrypt(transit);
    expect(await codeOf(decrypt(transit, ciphertext, btoa("other")))).toBe("decrypt_failed");
    expect(await codeOf(encrypt(transit, 9))).toBe("version_too_new");
    expect(await codeOf(decrypt(transit, ciphertext.replace("vault:v1:", "vault:v9:")))).toBe(
      "version_too_new",
    );

    const path = await newKey("refusals");
    const other = createTransitClient(createAuthenticatedClient((await stack()).openbao, session), {
      mountPath: names.mount,
      keyName: "refusals",
    });
    const first = await encrypt(other);
    await bao.operator.must("POST", `${path}/rotate`, {});
    await bao.operator.must("POST", `${path}/config`, { min_encryption_version: 2 });
    expect(await codeOf(encrypt(other, 1))).toBe("version_too_old");
    await bao.operator.must("POST", `${path}/config`, { min_decryption_version: 2 });
    expect(await codeOf(decrypt(other, first))).toBe("version_too_old");
    expect((await other.readKey(signal())).versions.map(({ version }) => version)).toEqual([2]);
    await bao.operator.must("DELETE", `${path}/soft-delete`);
    expect((await other.readKey(signal())).softDeleted).toBe(true);
    expect(await codeOf(encrypt(other, 2))).toBe("key_soft_deleted");
    await bao.operator.must("POST", `${path}/soft-delete-restore`, {});

    const missing = await stack({ keyName: "missing" });
    expect(await codeOf(missing.transit.readKey(signal()))).toBe("not_found");
    expect(await codeOf(encrypt(missing.transit))).toBe("key_missing");
    await session.close(2000);
    await missing.session.close(2000);
  }, 30_000);

  describe("logins that OpenBao refuses", () => {
    const refusals: readonly [string, () => void, string][] = [
      ["signed by another key", () => writeJwt({}, makeJwtIssuer()), "login_jwt_untrusted"],
      ["for another audience", () => writeJwt({ aud: "other" }), "login_claims_refused"],
      ["about another subject", () => writeJwt({ sub: "other" }), "login_claims_refused"],
    ];
    test.each(refusals)("a JWT %s", async (_, write, code) => {
      write();
      const { session } = await stack();
      expect(await codeOf(session.token(signal()))).toBe(code);
      expect(session.health().errorClass).toBe("auth_failed");
      writeJwt();
    });

    test("a role that does not exist", async () => {
      const { session } = await stack({ role: "none" });
      expect(await codeOf(session.token(signal()))).toBe("login_role_missing");
    });
  });

  test("short leases: renewed, capped, logged in anew, and never a failed call", async () => {
    await bao.operator.must(
      "POST",
      `auth/${names.jwtMount}/role/short`,
      jwtRole(names, { token_ttl: "3s", token_max_ttl: "5s" }),
    );
    const { session, transit, logins } = await stack({ role: "short" });
    const stop = new AbortController();
    const run = session.run(stop.signal);
    const endMs = performance.now() + 12_000;
    while (performance.now() < endMs) {
      expect(await codeOf(transit.readKey(signal()))).toBe("ok");
      await Bun.sleep(50);
    }
    expect(logins.length).toBeGreaterThanOrEqual(2);
    expect(logins.length).toBeLessThan(8);
    stop.abort();
    await run;
    await session.close(2000);
  }, 30_000);

  test("sealed, killed, silent: told at once after the first, and well again without help", async () => {
    const { session, transit } = await stack();
    const ciphertext = await encrypt(transit);
    const recovered = (): Promise<unknown> =>
      eventually("the client recovers", async () => (await codeOf(decrypt(transit, ciphertext))) === "ok", {
        timeoutMs: 15_000,
      });
    const worksNoMore = async (codes: readonly string[]): Promise<void> => {
      for (let call = 0; call < 6; call += 1) {
        expect([...codes, "circuit_open"]).toContain(await codeOf(decrypt(transit, ciphertext)));
      }
      const startedMs = performance.now();
      expect(await codeOf(decrypt(transit, ciphertext))).toBe("circuit_open");
      expect(performance.now() - startedMs).toBeLessThan(50);
    };
    await bao.seal();
    await worksNoMore(["sealed"]);
    await bao.unseal();
    await recovered();
    await bao.kill();
    await worksNoMore(["connection_lost", "connect_refused"]);
    await bao.start();
    await recovered();
    bao.pause();
    await Bun.sleep(100);
    await worksNoMore(["timeout"]);
    bao.resume();
    await recovered();
    await session.close(2000);
  }, 90_000);

  test("a new server certificate under a new CA is taken without a failed call once the file has it", async () => {
    const { session, transit, transport } = await stack();
    expect(await codeOf(transit.readKey(signal()))).toBe("ok");
    const next = await makeTestCa();
    writeFileSync(join(dir, "ca.pem"), bao.caPem + next.certPem);
    await bao.replaceCertificate(await next.server());
    transport.close();
    await Bun.sleep(300);
    for (let call = 0; call < 5; call += 1) {
      expect(await codeOf(transit.readKey(signal()))).toBe("ok");
    }
    await session.close(2000);
  });
});
