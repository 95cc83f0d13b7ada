/** What `init` makes, used on a real OpenBao: the setup script and the policy in it. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as v from "valibot";
import { planInstallation } from "../../src/commands/init/installation.ts";
import { writeFiles } from "../../src/commands/init/write-files.ts";
import { configFile } from "../fakes/config-file.ts";
import { identityClaims, makeJwtIssuer } from "../fakes/openbao/jwt-issuer.ts";
import { type RealOpenBao, startOpenBao } from "../harness/openbao.ts";
import { describeReal } from "../harness/real-suite.ts";

/** The script starts the bao command some thirty times. */
const TIMEOUT_MS = 60_000;

const ISSUER = "https://issuer.test";

/** Values with a bound identity and without a key: what the first node of a cluster starts from. */
const values = configFile(({ auth, transit, ...rest }) => {
  const { keyLineageId: _, ...keyIdScope } = transit.keyIdScope;
  const jwt = {
    ...auth.jwt,
    expectedIssuer: ISSUER,
    expectedAudience: ["openbao"],
    expectedSubject: "it's control-plane-1",
  };
  return { ...rest, auth: { jwt }, transit: { ...transit, keyIdScope } };
});

describeReal("init on a real OpenBao", { needs: ["bao"], long: true }, (binary) => {
  const directory = mkdtempSync(join(tmpdir(), "init-"));
  const out = join(directory, "node-1");
  const issuer = makeJwtIssuer();
  let openbao: RealOpenBao;

  const run = (argument: string, environment: Record<string, string> = {}, target = out) =>
    spawnSync("/bin/sh", [join(target, "openbao-setup.sh"), argument], {
      encoding: "utf8",
      env: { ...openbao.environment, ...environment },
    });

  /** Makes a node's files from values. */
  async function make(target: string, text: string, isNewKey: boolean): Promise<void> {
    const { files } = planInstallation({
      values: { bytes: Buffer.from(text), file: "values.yaml" },
      model: "systemd",
      isNewKey,
      node: undefined,
      current: undefined,
      policyName: "openbao-kms",
      image: undefined,
      socketGid: undefined,
      random: (bytes) => new Uint8Array(bytes),
    });
    await writeFiles(target, files);
  }

  beforeAll(async () => {
    openbao = await startOpenBao(binary("bao"));
    writeFileSync(join(directory, "issuer.pem"), issuer.publicKeyPem);
    await make(out, values, true);
  }, TIMEOUT_MS);
  afterAll(async () => {
    await openbao?.dispose();
    rmSync(directory, { recursive: true, force: true });
  });

  test(
    "--check changes nothing and says what is to do",
    async () => {
      const { status, stderr } = run("--check");
      expect(status).toBe(1);
      expect(stderr).toContain("to do: make the key transit/keys/etcd");
      expect((await openbao.operator.call("GET", "sys/mounts/transit")).status).toBe(400);
    },
    TIMEOUT_MS,
  );

  test(
    "without a way to verify JWTs it stops and names the ways",
    () => {
      const { status, stderr } = run("--yes");
      expect(status).toBe(1);
      expect(stderr).toContain("JWT_PUBLIC_KEYS");
    },
    TIMEOUT_MS,
  );

  test(
    "then everything is set up, and a second run finds nothing to do",
    () => {
      const first = run("--yes", { JWT_PUBLIC_KEYS: join(directory, "issuer.pem") });
      expect(first.stderr).toBe("");
      expect(first.status).toBe(0);
      const second = run("--check");
      expect(second.stderr).toBe("");
      expect(second.status).toBe(0);
      expect(second.stdout).not.toContain("done:");
    },
    TIMEOUT_MS,
  );

  test(
    "the role lets in this control plane's JWT and no other",
    async () => {
      const login = async (claims: Record<string, unknown>) => {
        const jwt = issuer.sign({
          ...identityClaims({ audience: "openbao", subject: "it's control-plane-1" }, Date.now()),
          ...claims,
        });
        return openbao.operator.call("POST", "auth/jwt/login", { role: "kms", jwt }, { token: "" });
      };
      expect((await login({ sub: "control-plane-2" })).status).toBe(400);
      expect((await login({ aud: "other" })).status).toBe(400);
      expect((await login({ iss: "https://other.test" })).status).toBe(400);
      const good = await login({});
      expect(good.status).toBe(200);
      expect(good.body).toMatchObject({
        auth: { token_policies: ["openbao-kms"], lease_duration: 3600, renewable: true },
      });
    },
    TIMEOUT_MS,
  );

  test(
    "the script of a further node refuses to make a second key",
    async () => {
      const second = join(directory, "node-2");
      const lineage = configFile(({ auth, transit, ...rest }) => ({
        ...rest,
        auth: {
          jwt: { ...auth.jwt, expectedIssuer: ISSUER, expectedAudience: ["openbao"], expectedSubject: "s" },
        },
        transit: { ...transit, keyName: "absent" },
      }));
      await make(second, lineage, false);
      const { status, stderr } = run("--yes", {}, second);
      expect(status).toBe(1);
      expect(stderr).toContain("do not make a new key");
    },
    TIMEOUT_MS,
  );

  /** Values of a further node with another way to log in. */
  const withAuth = (auth: object): string => configFile((fields) => ({ ...fields, auth }));

  test(
    "AppRole: the role gives a token of least privilege, and a second run finds nothing to do",
    async () => {
      const target = join(directory, "approle");
      const approle = {
        mountPath: "auth/approle",
        roleId: "control-plane",
        secretIdFile: "/var/lib/x/secret-id",
      };
      await make(target, withAuth({ method: "approle", approle }), false);
      const first = run("--yes", {}, target);
      expect(first.stderr).toBe("");
      expect(first.status).toBe(0);
      expect(first.stdout).toContain("bao write -wrap-ttl=10m");
      expect(run("--check", {}, target)).toMatchObject({ status: 0, stderr: "" });
      const { operator } = openbao;
      const made = await operator.must("POST", "auth/approle/role/openbao-kms/secret-id", {});
      const { secret_id } = v.parse(v.object({ secret_id: v.string() }), made["data"]);
      const login = await operator.must("POST", "auth/approle/login", {
        role_id: "control-plane",
        secret_id,
      });
      expect(login).toMatchObject({ auth: { token_policies: ["openbao-kms"], renewable: true } });
    },
    TIMEOUT_MS,
  );

  test(
    "certificate: without a CA and a name it stops, with them the role is bound to that name",
    async () => {
      const target = join(directory, "cert");
      const cert = {
        mountPath: "auth/cert",
        name: "control-plane",
        source: "file",
        certificateFile: "/etc/x/chain.pem",
        privateKeyFile: "/etc/x/key.pem",
      };
      await make(target, withAuth({ method: "cert", cert }), false);
      const bare = run("--yes", {}, target);
      expect(bare.status).toBe(1);
      expect(bare.stderr).toContain("CLIENT_COMMON_NAME");
      const ca = { CLIENT_CA: openbao.caFile, CLIENT_COMMON_NAME: "node-1" };
      const first = run("--yes", ca, target);
      expect(first.stderr).toBe("");
      expect(first.status).toBe(0);
      expect(run("--check", ca, target)).toMatchObject({ status: 0, stderr: "" });
      const role = await openbao.operator.must("GET", "auth/cert/certs/control-plane");
      expect(role).toMatchObject({
        data: {
          allowed_common_names: ["node-1"],
          token_policies: ["openbao-kms"],
          token_no_default_policy: true,
        },
      });
    },
    TIMEOUT_MS,
  );

  test(
    "in a namespace: told when it is not there yet, then everything is set up inside of it",
    async () => {
      const target = join(directory, "in-namespace");
      const fields = JSON.parse(values);
      const inTeam = { ...fields, openbao: { ...fields.openbao, namespace: "team" } };
      await make(target, JSON.stringify(inTeam), true);
      const keys = { JWT_PUBLIC_KEYS: join(directory, "issuer.pem") };
      const before = run("--yes", keys, target);
      expect(before.status).toBe(1);
      expect(before.stderr).toContain("in the namespace team");
      await openbao.operator.must("POST", "sys/namespaces/team", {});
      expect(run("--yes", keys, target)).toMatchObject({ status: 0, stderr: "" });
      expect(run("--check", keys, target)).toMatchObject({ status: 0, stderr: "" });
      const key = await openbao.operator.call("GET", "transit/keys/etcd", undefined, { namespace: "team" });
      expect(key.status).toBe(200);
    },
    TIMEOUT_MS,
  );
});
