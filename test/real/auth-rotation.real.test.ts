/**
 * The credentials of every login method, but those in a PKCS#11 token, are rotated under the compiled provider while it encrypts
 * and decrypts: no call fails, nothing is restarted. Tokens last seconds, so that logins come often.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startAuthorizationServer } from "../fakes/oauth2/authorization-server.ts";
import { textAt } from "../fakes/openbao/json-at.ts";
import { identityClaims, makeJwtIssuer } from "../fakes/openbao/jwt-issuer.ts";
import { jwtRole, type Provisioning, provision, provisionJwtLogin } from "../fakes/openbao/provision.ts";
import { serveWorkloadApi } from "../fakes/spiffe/workload-api.ts";
import { makeTestCa, type TestCa } from "../fakes/tls/test-ca.ts";
import { eventually } from "../harness/eventually.ts";
import { type RealOpenBao, startOpenBao } from "../harness/openbao.ts";
import { type Provider, prepareProvider } from "../harness/provider.ts";
import { describeReal } from "../harness/real-suite.ts";

/** Neither renewal nor a longer life: each ends with a new login. */
const TOKEN = { token_ttl: "8s", token_max_ttl: "8s" } as const;
const SESSION = { loginBeforeTokenExpiry: "4s", tokenRenewalIncrement: "8s" } as const;
const LOGIN_WAIT_MS = 30_000;
const DAY_MS = 86_400_000;

interface Rotation {
  readonly auth: object;
  /** Replaces the credential and takes the right to log in from the old one. */
  readonly rotate: () => Promise<void>;
}

describeReal("rotation of credentials under load", { needs: ["bao"], long: true }, (binary) => {
  const issuer = makeJwtIssuer();
  const running: { readonly dispose: () => Promise<unknown> }[] = [];
  let dir: string;
  let bao: RealOpenBao;
  let names: Provisioning;
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), "rotation-"));
    bao = await startOpenBao(binary("bao"));
    names = await provision(bao.operator, issuer.publicKeyPem, { tokenTtl: "8s", tokenMaxTtl: "8s" });
  }, 120_000);
  afterAll(async () => {
    await Promise.all(running.map(({ dispose }) => dispose()));
    await bao.dispose();
    rmSync(dir, { recursive: true });
  });

  /** In one step, as every renewer should. */
  const write = (name: string, text: string): string => {
    const path = join(dir, name);
    writeFileSync(`${path}.new`, text, { mode: 0o600 });
    renameSync(`${path}.new`, path);
    return path;
  };
  const must = (path: string, body: Parameters<RealOpenBao["operator"]["must"]>[2]) =>
    bao.operator.must("POST", path, body);
  const provide = async (auth: object): Promise<Provider> => {
    const config = { auth: { ...SESSION, ...auth } };
    const provider = await prepareProvider({ openbao: bao, names, issuer, config });
    running.push(provider);
    await provider.start();
    return provider;
  };
  const logins = (provider: Provider): number =>
    provider.log().filter(({ message, status }) => message === "auth.login" && status === "ok").length;

  /** Four callers without a pause until told to stop. */
  const load = (provider: Provider) => {
    const seed = new Uint8Array(32).fill(9);
    const over = new AbortController();
    const failures: string[] = [];
    let calls = 0;
    const callers = Array.from({ length: 4 }, async () => {
      while (!over.signal.aborted) {
        try {
          const { plaintext } = await provider.client.decrypt(await provider.client.encrypt(seed));
          if (Buffer.compare(plaintext, seed) !== 0) {
            failures.push("another plaintext");
          }
        } catch (error) {
          failures.push(String(error));
        }
        calls += 2;
        await Bun.sleep(10);
      }
    });
    return async () => {
      over.abort();
      await Promise.all(callers);
      return { calls, failures };
    };
  };

  const trust = (mount: string, ...keys: readonly string[]) =>
    must(`auth/${mount}/config`, { jwt_validation_pubkeys: [...keys] });

  async function jwtFile(): Promise<Rotation> {
    const next = makeJwtIssuer();
    const jwt = (from: typeof next): string =>
      write("identity.jwt", from.sign(identityClaims(names, Date.now())));
    const { jwtMount: mount, role } = names;
    return {
      auth: { jwt: { mountPath: `auth/${mount}`, role, jwtFile: jwt(issuer) } },
      rotate: async () => {
        await trust(mount, issuer.publicKeyPem, next.publicKeyPem);
        jwt(next);
        await trust(mount, next.publicKeyPem);
      },
    };
  }

  /** Another client secret and another signing key, and the server is away for a moment. */
  async function oauth2(): Promise<Rotation> {
    const resource = "https://openbao.test";
    const client = { clientId: "kms", authMethod: "client_secret_basic", resource } as const;
    const first = await startAuthorizationServer({ ...client, clientSecret: "first-secret-of-the-client" });
    const role = jwtRole({ audience: resource, policyName: names.policyName }, TOKEN);
    await provisionJwtLogin(bao.operator, "oauth", first.publicKeyPem, role);
    const secretFile = write("client-secret", "first-secret-of-the-client");
    const caCertFile = write("issuer-ca.pem", first.caPem);
    return {
      auth: {
        jwt: {
          source: "oauth2",
          mountPath: "auth/oauth",
          role: "kms",
          oauth2: {
            tokenUrl: first.tokenUrl,
            clientId: client.clientId,
            clientSecretFile: secretFile,
            resources: [resource],
            caCertFile,
          },
        },
      },
      rotate: async () => {
        await first.stop();
        const { port, tls } = first;
        const next = await startAuthorizationServer({ ...client, clientSecret: "second-secret", port, tls });
        running.push({ dispose: next.stop });
        await trust("oauth", next.publicKeyPem);
        write("client-secret", "second-secret");
      },
    };
  }

  async function spiffe(): Promise<Rotation> {
    const spiffeId = "spiffe://example.org/openbao-kms";
    const agent = await serveWorkloadApi(join(dir, "api.sock"), spiffeId);
    running.push({ dispose: agent.stop });
    const role = jwtRole(
      { audience: "openbao", policyName: names.policyName },
      { ...TOKEN, bound_subject: spiffeId },
    );
    await provisionJwtLogin(bao.operator, "spiffe", agent.publicKeyPem(), role);
    const workload = { socketPath: agent.socketPath, audience: "openbao", spiffeId };
    return {
      auth: { jwt: { source: "spiffe", mountPath: "auth/spiffe", role: "kms", spiffe: workload } },
      rotate: async () => {
        agent.rotate();
        await trust("spiffe", agent.publicKeyPem());
      },
    };
  }

  async function certificate(): Promise<Rotation> {
    const present = async (ca: TestCa): Promise<void> => {
      const leaf = await ca.client({
        commonName: "control-plane-1",
        notAfter: new Date(Date.now() + 3 * DAY_MS),
      });
      write("key.pem", leaf.keyPem);
      write("chain.pem", leaf.chainPem);
    };
    const role = (certificates: string) =>
      must("auth/cert/certs/kms", {
        certificate: certificates,
        allowed_common_names: ["control-plane-1"],
        token_policies: [names.policyName],
        ...TOKEN,
      });
    const first = await makeTestCa({ commonName: "first CA" });
    await must("sys/auth/cert", { type: "cert" });
    await role(first.certPem);
    await present(first);
    const files = { certificateFile: join(dir, "chain.pem"), privateKeyFile: join(dir, "key.pem") };
    return {
      auth: { method: "cert", cert: { mountPath: "auth/cert", name: "kms", source: "file", ...files } },
      rotate: async () => {
        const next = await makeTestCa({ commonName: "next CA" });
        await role(next.certPem);
        await present(next);
      },
    };
  }

  const secretIdPath = (role: string): string => `auth/approle/role/${role}/secret-id`;
  async function appRole(role: string, uses: number): Promise<Rotation> {
    await must("sys/auth/approle", { type: "approle" }).catch(() => {});
    await must(`auth/approle/role/${role}`, {
      token_policies: [names.policyName, "secret-id"],
      secret_id_num_uses: uses,
      secret_id_ttl: "1h",
      ...TOKEN,
    });
    const policy = 'path "auth/approle/role/+/secret-id/lookup" { capabilities = ["update"] }';
    await must("sys/policies/acl/secret-id", { policy });
    const roleId = textAt(
      await bao.operator.must("GET", `auth/approle/role/${role}/role-id`),
      "data",
      "role_id",
    );
    mkdirSync(join(dir, role), { mode: 0o750 });
    const newSecretId = async (): Promise<string> =>
      textAt(await must(secretIdPath(role), {}), "data", "secret_id");
    const first = await newSecretId();
    const secretIdFile = write(`${role}/secret-id`, first);
    return {
      auth: { method: "approle", approle: { mountPath: "auth/approle", roleId, secretIdFile } },
      rotate: async () => {
        write(`${role}/secret-id`, await newSecretId());
        await must(`${secretIdPath(role)}/destroy`, { secret_id: first });
      },
    };
  }

  test.concurrent.each([
    ["JWT file", jwtFile],
    ["OAuth2", oauth2],
    ["SPIFFE", spiffe],
    ["certificate file", certificate],
    ["AppRole", () => appRole("kms", 0)],
  ])(
    "%s",
    async (name, make) => {
      const { auth, rotate } = await make();
      const provider = await provide(auth);
      const end = load(provider);
      const before = logins(provider);
      await rotate();
      await eventually("three logins with the new credential", () => logins(provider) >= before + 3, {
        timeoutMs: LOGIN_WAIT_MS,
      });
      const { calls, failures } = await end();
      console.log(`${name}: ${calls} calls, ${logins(provider)} logins, ${failures.length} failures`);
      expect(failures).toEqual([]);
      expect(calls).toBeGreaterThan(100);
    },
    90_000,
  );

  test("a secret id that is used up is named while the token still works", async () => {
    const { auth, rotate } = await appRole("once", 1);
    const provider = await provide({ ...auth, loginBeforeTokenExpiry: "1s" });
    await eventually("it is named", () => provider.output().includes("secret_id_gone"), {
      timeoutMs: 15_000,
    });
    expect((await provider.client.status()).healthz).toBe("ok");
    await rotate();
    const before = logins(provider);
    await eventually("the next login", () => logins(provider) > before, { timeoutMs: LOGIN_WAIT_MS });
  }, 60_000);
});
