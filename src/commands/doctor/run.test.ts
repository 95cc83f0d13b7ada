import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { makeNodeFiles, type NodeFiles } from "../../../test/fakes/node-files.ts";
import { leastPrivilegePolicy } from "../../../test/fakes/openbao/provision.ts";
import { CHECK_IDS } from "./context.ts";

let node: NodeFiles;
beforeAll(async () => {
  node = await makeNodeFiles();
});
afterAll(() => node.dispose());
beforeEach(() => {
  node.writeConfig();
  node.writeJwt();
});

const doctor = (...words: readonly string[]) => node.type("doctor", "--config", node.configPath, ...words);

interface Report {
  readonly good: boolean;
  readonly checks: readonly {
    readonly id: string;
    readonly status: string;
    readonly findings: readonly { readonly code: string; readonly severity: string }[];
  }[];
}

async function report(...words: readonly string[]): Promise<Report & { readonly code: number }> {
  const { code, stdout } = await doctor(...words, "--output", "json");
  return { code, ...JSON.parse(stdout) };
}

/** `check: code` of every failure. */
async function failures(...words: readonly string[]): Promise<readonly string[]> {
  return (await report(...words)).checks.flatMap(({ id, findings }) =>
    findings.filter(({ severity }) => severity === "failure").map(({ code }) => `${id}: ${code}`),
  );
}

/** What changes from run to run, or with the user that runs the tests. */
function settled(text: string): string {
  return text
    .replaceAll(node.directory, "DIR")
    .replace(/127\.0\.0\.1:\d+/g, "127.0.0.1:PORT")
    .replace(/good for \S+ more/, "good for TIME more")
    .replace(/runs as .*/, "runs as USER")
    .replace(/for the user .*/, "for the user USER")
    .replace(/\d+ is gid \d+/, "GID");
}

describe("a node in order", () => {
  test("passes, leaves nothing behind, and gives its token back", async () => {
    const before = node.openbao.calls.length;
    const { code, stdout, stderr } = await doctor();
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain("✓ kms.status_encrypt");
    expect(readdirSync(node.at("state"))).toEqual([]);
    expect(existsSync(node.socketPath)).toBe(false);
    const calls = node.openbao.calls.slice(before).map(({ path }) => path);
    expect(calls.filter((path) => path.endsWith("/login"))).toHaveLength(1);
    expect(calls.at(-1)).toBe("auth/token/revoke-self");
  });

  test("every id is one of the closed set, and all failures leave with exit 4", async () => {
    const { checks } = await report();
    expect(checks.filter(({ id }) => !CHECK_IDS.some((each) => each === id))).toEqual([]);
  });

  test.skipIf(process.getuid?.() !== 0)("the report, as text and as JSON", async () => {
    expect(settled((await doctor()).stdout)).toMatchSnapshot();
    const { stdout } = await doctor("--output", "json");
    expect(settled(stdout)).toMatchSnapshot();
  });
});

describe("what one thing makes others fail or not", () => {
  interface Told {
    readonly id: string;
    readonly status: string;
    readonly findings: readonly { readonly code: string; readonly advice: string }[];
  }
  const told = async (): Promise<readonly Told[]> =>
    JSON.parse((await doctor("--output", "json")).stdout).checks;
  const failed = async () =>
    (await told())
      .filter(({ status }) => status === "failed")
      .flatMap(({ id, findings }) => findings.map(({ code, advice }) => ({ id, code, advice })));

  test("a CA bundle that cannot be used fails openbao.tls alone", async () => {
    node.writeConfig((fields) => ({
      ...fields,
      openbao: { ...fields.openbao, caCertFile: node.at("no-ca.crt") },
    }));
    expect((await failed()).map(({ id, code }) => [id, code])).toEqual([["openbao.tls", "file_missing"]]);
    expect((await told()).find(({ id }) => id === "jwt.local")?.status).toBe("skipped");
  });

  test("a missing state directory is to be made, not rebuilt", async () => {
    node.writeConfig((fields) => ({ ...fields, state: { path: node.at("no-state/key-registry.json") } }));
    const first = (await failed()).find(({ id }) => id === "registry.state");
    expect(first).toMatchObject({ code: "state_directory_missing" });
    expect(first?.advice).toStartWith("install -d -o ");
    expect(first?.advice).not.toContain("rebuild-registry");
  });

  test("an unknown group is to be made, with the service in it", async () => {
    node.writeConfig((fields) => ({ ...fields, server: { ...fields.server, socketGroup: "no-such-group" } }));
    expect((await failed()).find(({ code }) => code === "group_unknown")?.advice).toMatch(
      /^groupadd --system no-such-group && usermod -aG no-such-group \S+$/,
    );
  });

  test("a key name that OpenBao does not know may be a misspelt transit.keyName", async () => {
    node.writeConfig((fields) => ({ ...fields, transit: { ...fields.transit, keyName: "no-such-key" } }));
    expect((await failed()).find(({ id }) => id === "transit.metadata")?.advice).toContain("transit.keyName");
  });
});

describe("one thing spoilt", () => {
  const key = () => `${node.names.mount}/keys/${node.names.keyName}`;
  const spoil: readonly (readonly [
    string,
    readonly string[],
    () => Promise<(() => Promise<unknown>) | void>,
  ])[] = [
    [
      "an unknown field",
      ["config.validate: config_refused"],
      async () => node.writeConfig((fields) => ({ ...fields, extra: 1 })),
    ],
    [
      "a socket directory that others may write",
      ["socket.directory: directory_wrong_mode"],
      async () => {
        chmodSync(node.at("run"), 0o2777);
        return async () => chmodSync(node.at("run"), 0o2750);
      },
    ],
    [
      "an unknown group",
      ["socket.group: group_unknown"],
      async () =>
        node.writeConfig((fields) => ({
          ...fields,
          server: { ...fields.server, socketGroup: "no-such-group" },
        })),
    ],
    [
      "an expired JWT",
      ["jwt.local: jwt_expired"],
      async () => {
        node.writeJwt({ exp: 1 });
      },
    ],
    [
      "a JWT of another subject",
      ["openbao.auth: login_claims_refused"],
      async () => {
        node.writeJwt({ sub: "someone" });
      },
    ],
    [
      "a server name that is another",
      ["openbao.tls: tls_name_mismatch"],
      async () =>
        node.writeConfig((fields) => ({
          ...fields,
          openbao: { ...fields.openbao, tlsServerName: "other.test" },
        })),
    ],
    [
      "a sealed OpenBao",
      ["openbao.tls: sealed"],
      async () => {
        node.openbao.state.sealed = true;
        return async () => {
          node.openbao.state.sealed = false;
        };
      },
    ],
    [
      "a token that may rotate",
      ["transit.capabilities: capability_excessive"],
      async () => {
        const policy = `sys/policies/acl/${node.names.policyName}`;
        const text = leastPrivilegePolicy(node.names);
        await node.operator.must("POST", policy, {
          policy: `${text}\npath "${key()}/rotate" { capabilities = ["update"] }\n`,
        });
        return () => node.operator.must("POST", policy, { policy: text });
      },
    ],
    [
      "a key that may be deleted",
      ["transit.profile: deletion_allowed"],
      async () => {
        await node.operator.must("POST", `${key()}/config`, { deletion_allowed: true });
        return () => node.operator.must("POST", `${key()}/config`, { deletion_allowed: false });
      },
    ],
    [
      "a mount that makes keys",
      ["transit.disable_upsert: upsert_enabled"],
      async () => {
        const path = `${node.names.mount}/config/keys`;
        await node.operator.must("POST", path, { disable_upsert: false });
        return () => node.operator.must("POST", path, { disable_upsert: true });
      },
    ],
    [
      "a registry that is another program's",
      ["registry.state: registry_foreign"],
      async () => {
        writeFileSync(node.at("state/key-registry.json"), '{"hello":1}', { mode: 0o600 });
        return async () => rmSync(node.at("state/key-registry.json"));
      },
    ],
  ];
  test.each(spoil)("%s", async (_, expected, change) => {
    const recover = await change();
    try {
      expect(await failures()).toEqual([...expected]);
    } finally {
      await recover?.();
    }
  });

  test("the fingerprint of another node", async () => {
    expect(await failures("--expect-fingerprint", "0000-0000-0000-0000")).toEqual([
      "key_id.deterministic: fingerprint_differs",
    ]);
  });

  test("a refused configuration is exit 3, anything else that fails exit 4", async () => {
    node.writeConfig((fields) => ({ ...fields, extra: 1 }));
    expect((await doctor()).code).toBe(3);
    node.writeConfig();
    node.writeJwt({ exp: 1 });
    expect((await doctor()).code).toBe(4);
  });
});

describe("warnings", () => {
  test("a rotation by OpenBao itself", async () => {
    const key = `${node.names.mount}/keys/${node.names.keyName}/config`;
    await node.operator.must("POST", key, { auto_rotate_period: "720h" });
    const { checks } = await report();
    await node.operator.must("POST", key, { auto_rotate_period: "0" });
    expect(checks.find(({ id }) => id === "transit.metadata")).toMatchObject({
      status: "warning",
      findings: [{ code: "auto_rotate" }],
    });
  });

  test("an issuer inside a cluster", async () => {
    node.writeJwt({ iss: "https://kubernetes.default.svc.cluster.local" });
    const { checks } = await report();
    expect(checks.find(({ id }) => id === "jwt.local")).toMatchObject({
      status: "warning",
      findings: [{ code: "issuer_circular" }],
    });
  });
});

test("no secret is printed, whatever fails", async () => {
  const canary = node.writeJwt({ sub: "someone" });
  const encryption = node.at("encryption.yaml");
  writeFileSync(
    encryption,
    `apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
  - resources: [secrets]
    providers:
      - aescbc: {keys: [{name: k, secret: CANARY-KEY}]}
`,
    { mode: 0o600 },
  );
  for (const format of ["text", "json"]) {
    const { stdout, stderr } = await doctor("--output", format, "--encryption-config", encryption);
    expect(stdout + stderr).not.toContain(canary);
    expect(stdout + stderr).not.toContain("CANARY");
  }
});
