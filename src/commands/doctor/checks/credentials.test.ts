/**
 * The local checks of each method whose credential is no JWT file; those of a JWT file are in cli/actions/doctor.test.ts.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { makeNodeFiles, type NodeFiles } from "../../../../test/fakes/node-files.ts";
import { textAt } from "../../../../test/fakes/openbao/json-at.ts";
import { serveWorkloadApi, type WorkloadApi } from "../../../../test/fakes/spiffe/workload-api.ts";
import { makeTestCa } from "../../../../test/fakes/tls/test-ca.ts";

let node: NodeFiles;
beforeAll(async () => {
  node = await makeNodeFiles();
});
afterAll(() => node.dispose());

interface Report {
  readonly checks: readonly {
    readonly id: string;
    readonly status: string;
    readonly detail: string;
    readonly findings: readonly { readonly code: string }[];
  }[];
}

async function loginChecks(): Promise<Report["checks"]> {
  const { stdout } = await node.type("doctor", "--config", node.configPath, "--output", "json");
  const { checks }: Report = JSON.parse(stdout);
  return checks.filter(({ id }) => /^(spiffe|oauth2|approle|auth|jwt)\.|openbao\.auth/.test(id));
}

/** What each of them said: `id status codes`. */
async function logins(): Promise<readonly string[]> {
  return (await loginChecks()).map(({ id, status, findings }) =>
    [id, status, ...findings.map(({ code }) => code)].join(" "),
  );
}

const write = (name: string, text: string): string => {
  writeFileSync(node.at(name), text, { mode: 0o600 });
  return node.at(name);
};
const configure = (auth: object): void => node.writeConfig((fields) => ({ ...fields, auth }));

describe("approle", () => {
  const newSecretId = async (): Promise<string> =>
    textAt(await node.operator.must("POST", "auth/approle/role/kms/secret-id", {}), "data", "secret_id");
  beforeAll(async () => {
    await node.operator.must("POST", "sys/auth/approle", { type: "approle" });
    const policy = 'path "auth/approle/role/kms/secret-id/lookup" { capabilities = ["update"] }';
    await node.operator.must("POST", "sys/policies/acl/looker", { policy });
    await node.operator.must("POST", "auth/approle/role/kms", {
      token_policies: [node.names.policyName, "looker"],
      token_ttl: "20m",
      secret_id_num_uses: 2,
    });
  });
  beforeEach(async () => {
    const reply = await node.operator.must("GET", "auth/approle/role/kms/role-id");
    const roleIdFile = write("role-id", textAt(reply, "data", "role_id"));
    const approle = { mountPath: "auth/approle", roleIdFile, secretIdFile: node.at("secret-id") };
    configure({ method: "approle", approle });
  });

  test("passes while logins are left, warns when they are few, and names a secret id that is used up", async () => {
    write("secret-id", await newSecretId());
    expect(await logins()).toEqual(["approle.local passed", "openbao.auth warning secret_id_uses_low"]);
    expect(await logins()).toEqual(["approle.local passed", "openbao.auth failed secret_id_gone"]);
    expect(await logins()).toEqual(["approle.local passed", "openbao.auth failed login_secret_refused"]);
  });

  test("names a token in the place of the secret id", async () => {
    write("secret-id", `s.${"x".repeat(24)}`);
    expect(await logins()).toEqual(["approle.local failed secret_id_wrapped", "openbao.auth skipped"]);
  });
});

describe("spiffe", () => {
  let agent: WorkloadApi;
  const spiffeId = "spiffe://example.org/openbao-kms";
  beforeAll(async () => {
    agent = await serveWorkloadApi(node.at("api.sock"), spiffeId);
    await node.operator.must("POST", "sys/auth/spiffe", { type: "jwt" });
    const jwt_validation_pubkeys = [agent.publicKeyPem()];
    await node.operator.must("POST", "auth/spiffe/config", { jwt_validation_pubkeys });
    await node.operator.must("POST", "auth/spiffe/role/kms", {
      role_type: "jwt",
      user_claim: "sub",
      bound_audiences: ["openbao"],
      bound_subject: spiffeId,
      token_policies: [node.names.policyName],
      token_ttl: "20m",
    });
  });
  afterAll(() => agent.stop());
  const use = (socketPath: string): void => {
    const spiffe = { socketPath, audience: "openbao", spiffeId };
    configure({ jwt: { source: "spiffe", mountPath: "auth/spiffe", role: "kms", spiffe } });
  };

  test("passes with an agent that knows us", async () => {
    use(agent.socketPath);
    expect(await logins()).toEqual(["spiffe.local passed", "spiffe.acquire passed", "openbao.auth passed"]);
  });

  test("names an agent that is not there, and one that gives another identity", async () => {
    use(node.at("absent.sock"));
    expect(await logins()).toEqual([
      "spiffe.local failed socket_missing",
      "spiffe.acquire skipped",
      "openbao.auth skipped",
    ]);
    use(agent.socketPath);
    agent.fail("foreign_identity");
    expect(await logins()).toContain("spiffe.acquire failed spiffe_wrong_identity");
    agent.fail(undefined);
  });
});

test("oauth2: a secret that is not there, and a token endpoint that does not answer", async () => {
  const caCertFile = write("issuer-ca.crt", (await makeTestCa()).certPem);
  const oauth2 = {
    tokenUrl: "https://localhost:1/token",
    clientId: "kms",
    clientSecretFile: node.at("client-secret"),
    caCertFile,
  };
  configure({ jwt: { source: "oauth2", mountPath: "auth/jwt", role: "kms", oauth2 } });
  expect((await logins())[1]).toBe("oauth2.acquire failed file_missing");
  const clientSecretFile = write("client-secret", "secret");
  expect((await loginChecks())[0]?.detail).toBe(`${clientSecretFile}, ${caCertFile}`);
  expect(await logins()).toEqual([
    "oauth2.local passed",
    "oauth2.acquire failed oauth2_unreachable",
    "openbao.auth skipped",
  ]);
});

test("a certificate from files: passes, and names an expired one", async () => {
  const ca = await makeTestCa();
  const auth = {
    method: "cert",
    cert: {
      mountPath: "auth/cert",
      name: "kms",
      source: "file",
      certificateFile: node.at("chain.pem"),
      privateKeyFile: node.at("key.pem"),
    },
  };
  configure(auth);
  const present = async (hours: number): Promise<void> => {
    const leaf = await ca.client({
      notBefore: new Date(0),
      notAfter: new Date(Date.now() + hours * 3_600_000),
    });
    write("chain.pem", leaf.chainPem);
    write("key.pem", leaf.keyPem);
  };
  await present(72);
  expect((await logins())[0]).toBe("auth.cert.local passed");
  await present(-1);
  expect((await logins())[0]).toBe("auth.cert.local failed certificate_expired");
});
