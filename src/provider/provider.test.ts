/** The object graph for each kind of credential, over a server that takes every login. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { codeOf } from "../../test/fakes/code-of.ts";
import { configFile } from "../../test/fakes/config-file.ts";
import { makeTestCa, type TestCa } from "../../test/fakes/tls/test-ca.ts";
import { systemClock } from "../base/clock.ts";
import { readMountPoints } from "../base/mount-points.ts";
import { decodeConfig } from "../config/decode-config.ts";
import { createLogger } from "../telemetry/logger.ts";
import { openOperatorAccess } from "./operator.ts";
import { pkcs11Checks, pkcs11TokenOf } from "./pkcs11-token.ts";
import { buildProvider, type Provider } from "./provider.ts";
import { openTransitAccess } from "./transit-access.ts";

const uid = process.getuid?.() ?? 0;
const gid = process.getgid?.() ?? 0;
const never = new AbortController().signal;
const DAY_S = 24 * 3600;

let dir: string;
let ca: TestCa;
let server: Bun.Server<undefined>;
const asked: string[] = [];
/** Of every answer. */
let data: object = {};
const file = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text);
  chmodSync(join(dir, name), 0o600);
  return join(dir, name);
};

/** Without a signature: the server of this test checks none. */
function jwt(): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const exp = Math.floor(Date.now() / 1000) + 3600;
  return `${part({ alg: "RS256" })}.${part({ iss: "issuer", sub: "s", exp })}.c2lnbmF0dXJl`;
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "provider-"));
  ca = await makeTestCa();
  const leaf = await ca.server();
  const client = await ca.client();
  file("ca.crt", ca.certPem);
  file("client.crt", client.chainPem);
  file("client.key", client.keyPem);
  file("client-secret", "secret");
  mkdirSync(join(dir, "run"));
  chownSync(join(dir, "run"), uid, gid);
  chmodSync(join(dir, "run"), 0o2750);
  server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    tls: { cert: leaf.chainPem, key: leaf.keyPem },
    fetch: ({ url }) => {
      const path = new URL(url).pathname;
      asked.push(path);
      const auth = {
        client_token: "s.0123456789",
        lease_duration: 600,
        renewable: true,
        token_type: "service",
      };
      return path === "/token"
        ? Response.json({ access_token: jwt(), token_type: "Bearer", expires_in: 60 })
        : Response.json({ request_id: "1", auth, data });
    },
  });
});
afterAll(async () => {
  await server.stop(true);
  rmSync(dir, { recursive: true, force: true });
});

type Sections = Readonly<Record<string, object>>;

function configOf(auth: object, change: Sections = {}) {
  const text = configFile((fields) => ({
    ...fields,
    server: { socketGroup: String(gid), socketPath: join(dir, "run/kms.sock") },
    openbao: {
      ...fields.openbao,
      address: `https://127.0.0.1:${server.port}`,
      tlsServerName: "localhost",
      caCertFile: join(dir, "ca.crt"),
    },
    state: { path: join(dir, "key-registry.json") },
    auth,
    ...change,
  }));
  return decodeConfig(Buffer.from(text), "test").config;
}

const certFile = () => ({
  method: "cert",
  cert: {
    mountPath: "auth/cert",
    source: "file",
    certificateFile: join(dir, "client.crt"),
    privateKeyFile: join(dir, "client.key"),
    minRemainingTtl: "0s",
  },
});
const certToken = () => ({
  method: "cert",
  cert: {
    mountPath: "auth/cert",
    source: "pkcs11",
    pkcs11: {
      certificateFile: join(dir, "client.crt"),
      modulePath: "/nonexistent.so",
      tokenLabel: "token",
      keyLabel: "key",
      pinFile: file("pin", "482913"),
    },
  },
});
const oauth2 = () => ({
  jwt: {
    mountPath: "auth/jwt",
    role: "kms",
    source: "oauth2",
    minRemainingTtl: "0s",
    oauth2: {
      tokenUrl: `https://localhost:${server.port}/token`,
      clientId: "client",
      clientSecretFile: join(dir, "client-secret"),
      caCertFile: join(dir, "ca.crt"),
    },
  },
});
const spiffe = () => ({
  jwt: {
    mountPath: "auth/jwt",
    role: "kms",
    source: "spiffe",
    spiffe: { socketPath: join(dir, "none.sock"), audience: "a", spiffeId: "spiffe://example.org/kms" },
  },
});

/** A provider with its log. */
async function built(auth: object, change: Sections = {}): Promise<{ provider: Provider; lines: string[] }> {
  const lines: string[] = [];
  const sink = {
    write: (line: string) => void lines.push(line),
    takeDropped: () => 0,
    flush: async () => {},
  };
  const logger = createLogger({ level: "info", format: "text", sink, wallMs: () => 0 });
  const provider = await buildProvider(
    {
      config: configOf(auth, change),
      readLogLevel: async () => "info",
      process: { uid, gid, userName: "service" },
      clock: systemClock,
      random: () => 0,
      stdout: { write: () => true, once: () => {}, on: () => {} },
    },
    logger,
  );
  return { provider, lines };
}

/** The value of a metric without labels; `undefined` when it is absent. */
async function metric(provider: Provider, name: string): Promise<number | undefined> {
  const [, value] = new RegExp(`^openbao_kms_${name} (\\S+)$`, "m").exec(provider.renderMetrics()) ?? [];
  return value === undefined ? undefined : Number(value);
}

describe("a client certificate in a file", () => {
  test("logs in, and its end is shown in the metrics", async () => {
    const { provider } = await built(certFile());
    expect(await metric(provider, "certificate_ttl_seconds")).toBeUndefined();
    asked.length = 0;
    await provider.session.token(never);
    expect(asked).toEqual(["/v1/auth/cert/login"]);
    expect(await metric(provider, "certificate_ttl_seconds")).toBeGreaterThan(DAY_S / 2);
    expect(await metric(provider, "token_ttl_seconds")).toBeGreaterThan(500);
    expect(provider.renderMetrics()).toContain('certificate_source_info{source="file"} 1');
    expect(await metric(provider, 'openbao_requests_total{operation="cert_login",status="ok"}')).toBe(1);
    await provider.session.close(1000);
    provider.transport.close();
  });
});

describe("a client certificate in a token", () => {
  test("is looked for with the configured names, and its checks are there", async () => {
    const config = configOf(certToken());
    const access = await openTransitAccess({
      config,
      clock: systemClock,
      random: () => 0,
      serviceUid: uid,
      helper: { command: ["/bin/false"], environment: {} },
    });
    const code = await access.session.token(never).then(
      () => "done",
      (error: unknown) => (error instanceof Error && "code" in error ? error.code : error),
    );
    expect(code).toBe("module_crashed");
    expect(pkcs11Checks(access.pkcs11Token, { config, serviceUid: uid, clock: systemClock })).toBeDefined();
    access.transport.close();
  });

  test("is there only when it is configured", () => {
    const place = (auth: object) => ({ config: configOf(auth), serviceUid: uid, clock: systemClock });
    const token = pkcs11TokenOf(place(certToken()));
    expect(token).toBeDefined();
    for (const auth of [certFile(), oauth2()]) {
      expect(pkcs11TokenOf(place(auth))).toBeUndefined();
      expect(pkcs11Checks(undefined, place(auth))).toBeUndefined();
    }
    expect(pkcs11Checks(undefined, place(certToken()))).toBeUndefined();
    expect(pkcs11Checks(token, place(oauth2()))).toBeUndefined();
  });
});

describe("a JWT", () => {
  test("of an OAuth2 server is asked for, observed, and used for the login", async () => {
    const { provider } = await built(oauth2());
    asked.length = 0;
    await provider.session.token(never);
    expect(asked).toEqual(["/token", "/v1/auth/jwt/login"]);
    expect(await metric(provider, 'openbao_requests_total{operation="oauth2_token",status="ok"}')).toBe(1);
    expect(await metric(provider, 'auth_login_total{status="ok"}')).toBe(1);
    expect(await metric(provider, "certificate_ttl_seconds")).toBeUndefined();
    await provider.session.close(1000);
    provider.transport.close();
  });

  test("of a SPIFFE workload API that is away is observed", async () => {
    const { provider, lines } = await built(spiffe());
    expect(provider.session.token(never)).rejects.toThrow();
    await provider.session.token(never).catch(() => {});
    expect(lines.some((line) => line.includes("spiffe_fetch"))).toBe(true);
    provider.transport.close();
  });
});

test("a CA bundle that is spoiled while it is in use is reported, and the old one stays in use", async () => {
  let laterMs = 0;
  let tell: (error: unknown) => void = () => {};
  const problem = new Promise((resolve) => {
    tell = resolve;
  });
  const access = await openTransitAccess({
    config: configOf(certFile()),
    clock: { ...systemClock, monotonicMs: () => performance.now() + laterMs },
    random: () => 0,
    serviceUid: uid,
    onTrustProblem: tell,
  });
  try {
    await access.session.token(never);
    file("ca.crt", "spoiled");
    laterMs = 11_000;
    asked.length = 0;
    await access.transit.readKey(never).catch(() => {});
    expect(await problem).toMatchObject({ code: "ca_invalid" });
    expect(asked).toEqual(["/v1/transit/keys/etcd"]);
  } finally {
    file("ca.crt", ca.certPem);
    access.transport.close();
  }
});

test.skipIf(!readMountPoints().has("/dev/shm"))(
  "a state directory on a volume is made, and private",
  async () => {
    const path = `/dev/shm/provider-test-${process.pid}`;
    try {
      const state = { path: `${path}/key-registry.json`, createDirectory: true };
      const { provider } = await built(certFile(), { state });
      provider.transport.close();
      expect(statSync(path).mode & 0o7777).toBe(0o750);
    } finally {
      rmSync(path, { recursive: true, force: true });
    }
  },
);

describe("an operator's access", () => {
  test("shows the clock, logs in, reads capabilities, and revokes its token", async () => {
    const begin = asked.length;
    const access = await openOperatorAccess(configOf(certFile()), uid);
    const { wallMs = 0 } = await access.health(never);
    expect(Math.abs(wallMs - Date.now())).toBeLessThan(60_000);
    const { credential, ...login } = await access.logIn(never);
    expect(login).toEqual({ ttlMs: 600_000, renewable: false });
    expect(credential.expiresAtMs).toBeGreaterThan(Date.now());
    data = { "transit/a": ["read"], "transit/b": "read" };
    expect([...(await access.capabilities(["transit/a"], never))]).toEqual([["transit/a", ["read"]]]);
    for (const path of ["transit/b", "transit/c", "toString"]) {
      expect(await codeOf(access.capabilities([path], never))).toBe("reply_malformed");
    }
    data = {};
    await access.close();
    expect([...new Set(asked.slice(begin))]).toEqual([
      "/v1/sys/health",
      "/v1/auth/cert/login",
      "/v1/sys/capabilities-self",
      "/v1/auth/token/revoke-self",
    ]);
  });

  test("reads the credential without sending it", async () => {
    const begin = asked.length;
    const token = await openOperatorAccess(configOf(oauth2()), uid);
    const { issuer, expiresAtMs = 0 } = await token.checkCredential(never);
    expect(issuer).toBe("issuer");
    expect(Math.abs(expiresAtMs - Date.now() - 3_600_000)).toBeLessThan(60_000);
    const certificate = await openOperatorAccess(configOf(certFile()), uid);
    const checked = await certificate.checkCredential(never);
    expect(checked.issuer).toBeUndefined();
    expect(checked.expiresAtMs).toBeGreaterThan(Date.now());
    expect(asked.slice(begin)).toEqual(["/token"]);
    await token.close();
    await certificate.close();
  });
});
