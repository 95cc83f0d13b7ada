/**
 * The secrets of the other login methods are in nothing that can be seen from outside: client secret, access token, secret id and
 * wrapping token, while logins succeed and fail.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startAuthorizationServer } from "../fakes/oauth2/authorization-server.ts";
import { makeFakeOpenBao } from "../fakes/openbao/fake-openbao.ts";
import { type FakeServer, serveFakeOpenBao } from "../fakes/openbao/fake-server.ts";
import { textAt } from "../fakes/openbao/json-at.ts";
import { makeJwtIssuer } from "../fakes/openbao/jwt-issuer.ts";
import { type Operator, operator } from "../fakes/openbao/operator.ts";
import { jwtRole, type Provisioning, provision, provisionJwtLogin } from "../fakes/openbao/provision.ts";
import { runCommand } from "../harness/command.ts";
import { eventually } from "../harness/eventually.ts";
import { builtExecutable } from "../harness/executable.ts";
import { type Provider, prepareProvider } from "../harness/provider.ts";

const openbao = makeFakeOpenBao();
const issuer = makeJwtIssuer();
const closers: (() => Promise<unknown>)[] = [];
let dir: string;
let server: FakeServer;
let root: Operator;
let names: Provisioning;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "canaries-"));
  server = await serveFakeOpenBao(openbao);
  root = operator(server, openbao.rootToken);
  names = await provision(root, issuer.publicKeyPem);
});
afterAll(async () => {
  await Promise.all(closers.map((close) => close()));
  await server.stop();
  rmSync(dir, { recursive: true });
});

const write = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text, { mode: 0o600 });
  return join(dir, name);
};
const provide = async (auth: object): Promise<Provider> => {
  const provider = await prepareProvider({ openbao: server, names, issuer, config: { auth: { ...auth } } });
  closers.push(provider.dispose);
  await provider.start();
  return provider;
};

async function command(words: readonly string[], input = "") {
  const { status, stdout, stderr } = await runCommand([builtExecutable(), ...words], {
    cwd: "/",
    env: { PATH: "/usr/bin:/bin" },
    input,
    timeoutMs: 20_000,
  });
  return { status, text: stdout + stderr };
}

/** Everything that a provider and the commands on its configuration show. */
async function shown(provider: Provider): Promise<string> {
  const process = ["cmdline", "environ"].map((name) =>
    readFileSync(`/proc/${provider.pid()}/${name}`, "latin1"),
  );
  const reports = await Promise.all(
    ["doctor", "config"].map((name) => command([name, "--config", provider.configPath])),
  );
  return [
    provider.output(),
    await provider.metrics(),
    (await provider.health("/ready")).body,
    ...process,
    ...reports.map(({ text }) => text),
  ].join("\n");
}

describe("canaries of the login methods", () => {
  test("client secret and access token", async () => {
    const resource = "https://openbao.test";
    const clientSecret = "canary-client-secret-58d1";
    const client = { clientId: "kms", clientSecret, authMethod: "client_secret_post", resource } as const;
    const authority = await startAuthorizationServer(client);
    closers.push(authority.stop);
    const role = jwtRole({ audience: resource, policyName: names.policyName }, { token_ttl: "20m" });
    await provisionJwtLogin(root, "oauth", authority.publicKeyPem, role);
    const oauth2 = {
      tokenUrl: authority.tokenUrl,
      clientId: client.clientId,
      clientSecretFile: write("client-secret", clientSecret),
      authMethod: client.authMethod,
      resources: [resource],
      caCertFile: write("issuer-ca.pem", authority.caPem),
    };
    const provider = await provide({
      jwt: { source: "oauth2", mountPath: "auth/oauth", role: "kms", oauth2 },
    });
    const good = await shown(provider);
    expect(good).toContain("oauth2_token");
    write("client-secret", `${clientSecret}-wrong`);
    const bad = await command(["doctor", "--config", provider.configPath]);
    expect(bad.text).toContain("✗ oauth2.acquire");
    for (const canary of [clientSecret, Buffer.from(clientSecret).toString("base64").slice(0, 20), "eyJ"]) {
      expect((good + bad.text).includes(canary)).toBe(false);
    }
  }, 60_000);

  test.skipIf(process.getuid?.() !== 0)(
    "wrapping token and secret id",
    async () => {
      await root.must("POST", "sys/auth/approle", { type: "approle" });
      const role = { token_policies: [names.policyName], token_ttl: "20m" };
      await root.must("POST", "auth/approle/role/kms", role);
      const path = "auth/approle/role/kms/secret-id";
      const roleId = textAt(await root.must("GET", "auth/approle/role/kms/role-id"), "data", "role_id");
      const approle = {
        mountPath: "auth/approle",
        roleId,
        secretIdFile: write("secret-id", "canary-unknown-9a"),
      };
      const provider = await prepareProvider({
        openbao: server,
        names,
        issuer,
        config: { auth: { method: "approle", approle } },
      });
      closers.push(provider.dispose);
      provider.spawn();
      await eventually("the login is refused", () => provider.output().includes("login_secret_refused"), {
        timeoutMs: 15_000,
      });
      const token = textAt(await root.must("POST", path, {}, { wrapTtl: "60s" }), "wrap_info", "token");
      const words = ["unwrap-secret-id", "--config", provider.configPath, "--role", "kms", "--group", "0"];
      const first = await command(words, `${token}\n`);
      expect(first.status).toBe(0);
      const second = await command(words, token);
      expect(second.status).toBe(4);
      const secretId = readFileSync(approle.secretIdFile, "utf8").trim();
      await eventually(
        "the provider logs in",
        async () => (await provider.client.status()).healthz === "ok",
        {
          timeoutMs: 20_000,
        },
      );
      const seen = first.text + second.text + (await shown(provider));
      for (const canary of [token, secretId, "canary-unknown-9a"]) {
        expect(canary.length).toBeGreaterThan(10);
        expect(seen.includes(canary)).toBe(false);
      }
    },
    60_000,
  );
});
