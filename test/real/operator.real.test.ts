/**
 * From nothing to an encrypted cluster with the commands alone: init, its setup script, doctor, serve, probe, the key reports,
 * the policy path by path, and both EncryptionConfiguration files in a real kube-apiserver.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as v from "valibot";
import { forbiddenCapabilities } from "../../src/commands/doctor/capabilities.ts";
import { policyRows } from "../../src/commands/openbao-policy.ts";
import { configFile } from "../fakes/config-file.ts";
import { identityClaims, makeJwtIssuer } from "../fakes/openbao/jwt-issuer.ts";
import { makeSocketDirectory, ROOT_SOCKET_GID, socketGid } from "../fakes/socket-directory.ts";
import { type Child, startChild } from "../harness/child.ts";
import { startEtcd } from "../harness/etcd.ts";
import { eventually } from "../harness/eventually.ts";
import { builtExecutable } from "../harness/executable.ts";
import { freePorts } from "../harness/free-port.ts";
import { openKmsClient } from "../harness/kms-client.ts";
import { aescbcProvider, encryptionConfiguration, startKubeApiServer } from "../harness/kube-apiserver.ts";
import { type RealOpenBao, startOpenBao } from "../harness/openbao.ts";
import { describeReal } from "../harness/real-suite.ts";

const IDENTITY = { audience: "openbao", subject: "control-plane-1" };

/** The methods that OpenBao maps to a capability, where it is not POST. */
const METHODS: ReadonlyMap<string, string> = new Map([
  ["read", "GET"],
  ["delete", "DELETE"],
  ["list", "LIST"],
]);

interface Node {
  readonly at: (name: string) => string;
  readonly run: (...words: readonly string[]) => { code: number | null; stdout: string; stderr: string };
  readonly json: (...words: readonly string[]) => Record<string, unknown>;
  readonly serve: () => Promise<Child>;
  readonly dispose: () => void;
}

/** A node's directories and values, as an operator prepares them. */
async function prepareNode(openbao: RealOpenBao, jwt: string): Promise<Node> {
  const directory = mkdtempSync(join(tmpdir(), "operator-"));
  const at = (name: string): string => join(directory, name);
  const gid = socketGid();
  mkdirSync(at("state"), { mode: 0o750 });
  makeSocketDirectory(at("run"), gid);
  writeFileSync(at("ca.crt"), openbao.caPem, { mode: 0o644 });
  writeFileSync(at("identity.jwt"), jwt, { mode: 0o600 });
  const [metrics = 0, health = 0] = await freePorts(2);
  const values = configFile(({ transit, ...fields }) => {
    const { keyLineageId: _, ...keyIdScope } = transit.keyIdScope;
    return {
      ...fields,
      server: {
        socketGroup: String(gid),
        socketPath: at("run/kms.sock"),
        metricsAddress: `127.0.0.1:${metrics}`,
        healthAddress: `127.0.0.1:${health}`,
      },
      openbao: {
        ...fields.openbao,
        address: openbao.address,
        caCertFile: at("ca.crt"),
        tlsServerName: "localhost",
      },
      auth: {
        jwt: {
          ...fields.auth.jwt,
          jwtFile: at("identity.jwt"),
          expectedIssuer: "https://issuer.test",
          expectedAudience: [IDENTITY.audience],
          expectedSubject: IDENTITY.subject,
        },
      },
      transit: { ...transit, keyIdScope },
      status: { probeInterval: "200ms", statusMaxStaleness: "5s" },
      rotation: { activationDelay: "500ms", requireStableObservationCount: 2 },
      state: { path: at("state/key-registry.json") },
    };
  });
  writeFileSync(at("values.yaml"), values, { mode: 0o640 });
  const executable = builtExecutable();
  const run: Node["run"] = (...words) => {
    const { status, stdout, stderr } = spawnSync(executable, words, {
      cwd: directory,
      encoding: "utf8",
      env: { PATH: "/usr/bin:/bin" },
      timeout: 60_000,
    });
    return { code: status, stdout, stderr };
  };
  return {
    at,
    run,
    json: (...words) => JSON.parse(run(...words, "--output", "json").stdout),
    serve: async () => {
      const child = startChild(executable, ["serve", "--config", at("node/config.yaml")], { cwd: directory });
      const client = openKmsClient(at("run/kms.sock"));
      await eventually(
        "the provider serves",
        async () => existsSync(at("run/kms.sock")) && (await client.status()).healthz === "ok",
        { timeoutMs: 20_000, giveUp: () => (child.exited() ? child.output() : undefined) },
      );
      client.close();
      return child;
    },
    dispose: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** Runs the script that init has made. */
function setUp(openbao: RealOpenBao, node: Node, issuerKeyPem: string) {
  writeFileSync(node.at("issuer.pem"), issuerKeyPem);
  return spawnSync("/bin/sh", [node.at("node/openbao-setup.sh"), "--yes"], {
    encoding: "utf8",
    env: { ...openbao.environment, JWT_PUBLIC_KEYS: node.at("issuer.pem") },
  });
}

describeReal("an operator with the commands alone", { needs: ["bao"] }, (binary) => {
  const issuer = makeJwtIssuer();
  const jwt = () => issuer.sign(identityClaims(IDENTITY, Date.now()));
  let openbao: RealOpenBao;
  let node: Node;
  let provider: Child | undefined;

  beforeAll(async () => {
    openbao = await startOpenBao(binary("bao"));
    node = await prepareNode(openbao, jwt());
  }, 60_000);
  afterAll(async () => {
    await provider?.kill();
    await openbao?.dispose();
    node?.dispose();
  });

  test("init and its setup script", () => {
    expect(node.run("init", "--values", "values.yaml", "--out", "node", "--new-key")).toMatchObject({
      code: 0,
    });
    const script = setUp(openbao, node, issuer.publicKeyPem);
    expect(script.stderr).toBe("");
    expect(script.status).toBe(0);
  }, 60_000);

  test("doctor passes after it, before the first start", () => {
    const { good, checks } = node.json(
      "doctor",
      "--config",
      "node/config.yaml",
      "--encryption-config",
      "node/encryption-config-readers.yaml",
    );
    expect(JSON.stringify(checks)).not.toContain('"failed"');
    expect(good).toBe(true);
  }, 60_000);

  test("each path of the policy is needed, and the token can do nothing else", async () => {
    const { operator } = openbao;
    const names = { mountPath: "transit", keyName: "etcd" };
    const login = await operator.must("POST", "auth/jwt/login", { role: "kms", jwt: jwt() }, { token: "" });
    const token = v.parse(v.object({ client_token: v.string() }), login["auth"]).client_token;
    const call = async (path: string, capability: string, as: string): Promise<number> => {
      const method = capability === "read" ? "GET" : "POST";
      return (await operator.call(method, path, capability === "read" ? undefined : {}, { token: as }))
        .status;
    };
    for (const { path, capability } of policyRows({ ...names, includeTokenRenewal: true })) {
      if (!path.endsWith("revoke-self")) {
        expect([path, await call(path, capability, token)]).not.toEqual([path, 403]);
      }
    }
    for (const { path, capability } of forbiddenCapabilities(names)) {
      const method = METHODS.get(capability) ?? "POST";
      const { status } = await operator.call(method, path, method === "POST" ? {} : undefined, { token });
      // `create` and `update` of an encrypt path are one request; the key is there, so it is an update, which is needed.
      if (path !== "transit/encrypt/etcd") {
        expect([capability, path, status]).toEqual([capability, path, 403]);
      }
    }
    const policy = policyRows({ ...names, includeTokenRenewal: true });
    const hcl = (rows: typeof policy): string =>
      rows.map(({ path, capability }) => `path "${path}" { capabilities = ["${capability}"] }`).join("\n");
    for (const row of policy) {
      await operator.must("POST", "sys/policies/acl/openbao-kms", {
        policy: hcl(policy.filter((each) => each !== row)),
      });
      expect([row.path, await call(row.path, row.capability, token)]).toEqual([row.path, 403]);
    }
    await operator.must("POST", "sys/policies/acl/openbao-kms", {
      policy: readFileSync(node.at("node/openbao-policy.hcl"), "utf8"),
    });
  }, 60_000);

  test("serve, probe, doctor beside it, and the key reports over a rotation", async () => {
    provider = await node.serve();
    const socket = ["--socket", "run/kms.sock"];
    const first = node.json("probe", ...socket);
    expect(first).toMatchObject({ good: true, healthz: "ok" });
    const config = ["--config", "node/config.yaml"];
    expect(node.run("doctor", ...config).code).toBe(0);
    expect(node.json("verify-key", ...config)).toMatchObject({ good: true, partial: false });
    expect(node.json("rotation-plan", ...config)).toMatchObject({ activeVersion: 1, next: { kind: "none" } });

    await openbao.operator.must("POST", "transit/keys/etcd/rotate", {});
    await eventually(
      "the new version is active",
      async () => node.json("rotation-plan", ...config)["activeVersion"] === 2,
      {
        timeoutMs: 20_000,
      },
    );
    const second = node.json("probe", ...socket);
    expect(second["keyId"]).not.toBe(first["keyId"]);
    expect(node.run("probe", ...socket, "--expected-key-id", String(first["keyId"])).code).toBe(4);
    expect(node.json("verify-key", ...config)).toMatchObject({ good: true });
    expect(node.json("benchmark", ...config, ...socket, "--iterations", "20")).toMatchObject({
      overhead: { encrypt: expect.any(Number), decrypt: expect.any(Number) },
    });
  }, 60_000);

  test.skipIf(process.getuid?.() !== 0 || !existsSync("/usr/bin/setpriv"))(
    "another user gets an error that the socket may not be reached, a member of its group connects",
    () => {
      // The private directory of the test admits no other user by itself.
      chmodSync(node.at("."), 0o711);
      const probeAs = (...identity: readonly string[]) => {
        const { status, stdout } = spawnSync(
          "/usr/bin/setpriv",
          [
            ...identity,
            "--",
            builtExecutable(),
            "probe",
            "--socket",
            node.at("run/kms.sock"),
            "--output",
            "json",
          ],
          { encoding: "utf8", cwd: "/", env: { PATH: "/usr/bin:/bin" } },
        );
        return { status, stdout };
      };
      const stranger = probeAs("--reuid=54321", "--regid=54321", "--clear-groups");
      expect(stranger.stdout).toContain("socket_forbidden");
      expect(stranger.status).toBe(4);
      const member = probeAs("--reuid=54321", "--regid=54321", `--groups=${ROOT_SOCKET_GID}`);
      expect(member.status).toBe(0);
    },
  );
});

describeReal(
  "EncryptionConfiguration files of init in a kube-apiserver",
  { needs: ["bao", "etcd", "kube-apiserver"], long: true },
  (binary) => {
    test("phase 1 writes as before and reads KMS, phase 2 writes KMS and reads all", async () => {
      const issuer = makeJwtIssuer();
      const openbao = await startOpenBao(binary("bao"));
      const node = await prepareNode(openbao, issuer.sign(identityClaims(IDENTITY, Date.now())));
      const etcd = await startEtcd(binary("etcd"));
      let provider: Child | undefined;
      let kube: Awaited<ReturnType<typeof startKubeApiServer>> | undefined;
      try {
        const providers = [aescbcProvider("key1", Buffer.alloc(32, 7)), { identity: {} }];
        const current = encryptionConfiguration(["secrets"], providers);
        writeFileSync(node.at("current.yaml"), current, { mode: 0o600 });
        const made = node.run(
          "init",
          "--values",
          "values.yaml",
          "--out",
          "node",
          "--new-key",
          "--current-encryption-config",
          "current.yaml",
        );
        expect(made).toMatchObject({ code: 0 });
        const script = setUp(openbao, node, issuer.publicKeyPem);
        expect(script.status).toBe(0);
        provider = await node.serve();
        kube = await startKubeApiServer(binary("kube-apiserver"), {
          etcdAddress: etcd.address,
          kmsSocketPath: node.at("run/kms.sock"),
          kmsName: "openbao",
          encryptionConfig: readFileSync(node.at("node/encryption-config-readers.yaml"), "utf8"),
        });
        const server = kube;
        const write = async (name: string): Promise<void> => {
          const body = {
            apiVersion: "v1",
            kind: "Secret",
            metadata: { name },
            stringData: { text: `text of ${name}` },
          };
          const { status } = await server.request("POST", "/api/v1/namespaces/default/secrets", body);
          expect(status).toBe(201);
        };
        const stored = async (name: string): Promise<string> =>
          (await etcd.get(`/registry/secrets/default/${name}`))?.toString("latin1").slice(0, 30) ?? "";
        await write("before");
        expect(await stored("before")).toStartWith("k8s:enc:aescbc:v1:key1:");

        await server.stop();
        server.replaceEncryptionConfig(readFileSync(node.at("node/encryption-config.yaml"), "utf8"));
        await server.start();
        await write("after");
        expect(await stored("after")).toStartWith("k8s:enc:kms:v2:openbao:");
        expect((await server.request("GET", "/api/v1/namespaces/default/secrets/before")).status).toBe(200);

        await server.stop();
        server.replaceEncryptionConfig(readFileSync(node.at("node/encryption-config-readers.yaml"), "utf8"));
        await server.start();
        expect((await server.request("GET", "/api/v1/namespaces/default/secrets/after")).status).toBe(200);
      } finally {
        await kube?.dispose();
        await provider?.kill();
        await etcd.dispose();
        await openbao.dispose();
        node.dispose();
      }
    }, 240_000);
  },
);
