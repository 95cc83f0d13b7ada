import { afterAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { configFile } from "../../../test/fakes/config-file.ts";
import { recordedOutput } from "../../../test/fakes/recorded-output.ts";
import { run } from "../../cli/run.ts";
import { ConfigError } from "../../config/errors.ts";
import { decodeEncryptionConfig } from "../../kubernetes/encryption-config/decode.ts";
import { COMMANDS } from "../table.ts";
import { type InstallationRequest, planInstallation } from "./installation.ts";

const bound = {
  expectedIssuer: "https://issuer.test",
  expectedAudience: ["openbao"],
  expectedSubject: "node",
};
const values = (change: Parameters<typeof configFile>[0] = (fields) => fields) =>
  configFile((fields) => {
    Object.assign(fields.auth.jwt, bound);
    return change(fields);
  });
const withoutLineage = values(({ transit, ...rest }) => {
  const { keyLineageId: _, ...keyIdScope } = transit.keyIdScope;
  return { ...rest, transit: { ...transit, keyIdScope } };
});
const digest = `registry.example.com/bao-kms-provider@sha256:${"0".repeat(64)}`;

const plan = (text: string, more: Partial<InstallationRequest> = {}) =>
  planInstallation({
    values: { bytes: Buffer.from(text), file: "values.yaml" },
    model: "systemd",
    isNewKey: false,
    node: undefined,
    current: undefined,
    policyName: "openbao-kms",
    image: undefined,
    socketGid: undefined,
    random: (bytes) => new Uint8Array(bytes),
    ...more,
  });
const textOf = (name: string, text = values(), more: Partial<InstallationRequest> = {}): string =>
  plan(text, more).files.find((file) => file.name === name)?.text ?? "";

describe("values", () => {
  test("--new-key names a lineage once, and refuses values that have one", () => {
    expect(textOf("config.yaml", withoutLineage, { isNewKey: true })).toContain(
      "keyLineageId: lineage-0000000000000000",
    );
    expect(() => plan(values(), { isNewKey: true })).toThrow(
      expect.objectContaining({ code: "options_conflict" }),
    );
    expect(() => plan(withoutLineage)).toThrow(expect.objectContaining({ code: "config_refused" }));
  });

  test.each<[string, string, boolean]>([
    ["missing", withoutLineage, true],
    [
      "refused",
      values((fields) => {
        fields.transit.keyIdScope.keyLineageId = "";
        return fields;
      }),
      false,
    ],
  ])("a lineage that is %s: whether the fix is --new-key", (_, text, isHinted) => {
    let problems: readonly { readonly path: string; readonly fix: string }[] = [];
    try {
      plan(text);
    } catch (error) {
      problems = error instanceof ConfigError ? error.problems : [];
    }
    const found = problems.find(({ path }) => path === "transit.keyIdScope.keyLineageId");
    expect(found?.fix.includes("--new-key")).toBe(isHinted);
  });

  test("a replaced node may observe the key, unless the values refuse that", () => {
    expect(textOf("config.yaml")).toMatch(/^bootstrap:\n {2}# .+\n {2}missingState: observe$/m);
    const refusal = values((fields) => ({ ...fields, bootstrap: { missingState: "refuse" } }));
    const refusing = textOf("config.yaml", refusal);
    expect(refusing).toMatch(/^bootstrap:\n {2}missingState: refuse$/m);
  });

  test("the config.yaml of one node is the values of the next, with the same result", () => {
    const first = plan(withoutLineage, { isNewKey: true });
    const config = first.files.find(({ name }) => name === "config.yaml")?.text ?? "";
    const second = plan(config);
    expect(second.fingerprint).toBe(first.fingerprint);
    expect(second.files.find(({ name }) => name === "config.yaml")?.text).toBe(config);
  });

  test("a JWT role that is not bound is refused", () => {
    expect(() => plan(configFile())).toThrow(expect.objectContaining({ code: "values_incomplete" }));
  });

  test("every method has its setup", () => {
    const withAuth = (auth: object) => values((fields) => ({ ...fields, auth }));
    const approle = { mountPath: "auth/approle", roleIdFile: "/x/role-id", secretIdFile: "/x/secret-id" };
    const script = (text: string) => textOf("openbao-setup.sh", text);
    expect(script(withAuth({ method: "approle", approle }))).toContain(
      'bao auth enable -path="$AUTH" approle',
    );
    const spiffe = {
      socketPath: "/run/spire/api.sock",
      audience: "openbao",
      spiffeId: "spiffe://example.org/kms",
    };
    const jwt = { mountPath: "auth/jwt", role: "kms", source: "spiffe", spiffe };
    expect(script(withAuth({ jwt }))).toContain('"bound_subject": "spiffe://example.org/kms"');
    const cert = {
      mountPath: "auth/cert",
      source: "file",
      certificateFile: "/x/chain.pem",
      privateKeyFile: "/x/key.pem",
    };
    expect(script(withAuth({ method: "cert", cert }))).toContain("CLIENT_COMMON_NAME");
  });

  test("what serve would refuse is refused", () => {
    expect(() => plan(values((fields) => ({ ...fields, extra: 1 })))).toThrow(
      expect.objectContaining({ code: "config_refused" }),
    );
  });
});

describe("several nodes", () => {
  const perNode = configFile(({ auth, transit, ...rest }) => {
    const { keyLineageId: _, ...keyIdScope } = transit.keyIdScope;
    const jwt = { ...auth.jwt, ...bound, role: "kms-{node}", expectedSubject: "spiffe://x/{node}/{node}" };
    return { ...rest, auth: { jwt }, transit: { ...transit, keyIdScope } };
  });
  const first = () => plan(perNode, { isNewKey: true, node: "cp-1" });
  const fileOf = ({ files }: ReturnType<typeof plan>, name: string) =>
    files.find((file) => file.name === name)?.text ?? "";

  test("{node} becomes the node's name, and the values of the further nodes keep it and the key", () => {
    const second = plan(fileOf(first(), "values.yaml"), { node: "cp-2" });
    expect(fileOf(first(), "config.yaml")).toContain("spiffe://x/cp-1/cp-1");
    expect(second.config.auth).toMatchObject({
      jwt: { role: "kms-cp-2", expectedSubject: "spiffe://x/cp-2/cp-2" },
    });
    expect(second.fingerprint).toBe(first().fingerprint);
    expect(fileOf(second, "values.yaml")).toBe(fileOf(first(), "values.yaml"));
    expect(fileOf(second, "openbao-setup.sh")).toContain("ROLE='kms-cp-2'");
    expect(fileOf(second, "openbao-setup.sh")).toContain("POLICY='openbao-kms-cp-2'");
    expect(JSON.parse(fileOf(second, "installation.json"))).toMatchObject({
      node: "cp-2",
      policyName: "openbao-kms-cp-2",
    });
  });

  test("what belongs to the cluster is made by the script of the first node only", () => {
    const second = plan(fileOf(first(), "values.yaml"), { node: "cp-2" });
    for (const step of ["bao secrets enable", "bao write -f"]) {
      expect(fileOf(first(), "openbao-setup.sh")).toContain(step);
      expect(fileOf(second, "openbao-setup.sh")).not.toContain(step);
    }
  });

  test.each([
    ["a place without a name", () => plan(perNode, { isNewKey: true })],
    ["a name without a place", () => plan(withoutLineage, { isNewKey: true, node: "cp-1" })],
    ["the config.yaml of another node", () => plan(fileOf(first(), "config.yaml"), { node: "cp-2" })],
    ["a second new key", () => plan(fileOf(first(), "values.yaml"), { isNewKey: true, node: "cp-2" })],
    ["a name with a slash", () => plan(perNode, { isNewKey: true, node: "cp/1" })],
    ["a name in capitals", () => plan(perNode, { isNewKey: true, node: "CP-1" })],
    ["a name that ends in a dash", () => plan(perNode, { isNewKey: true, node: "cp-" })],
  ])("%s is refused", (_, make) => {
    expect(make).toThrow(expect.objectContaining({ code: "options_conflict" }));
  });
});

describe("kubeadm", () => {
  test("the socket's directory is mounted, and the group by number is a patch", () => {
    const text = values(({ server, ...rest }) => ({
      ...rest,
      server: { ...server, socketPath: "/run/x/kms.sock" },
    }));
    const config = parse(textOf("kubeadm-config.yaml", text));
    expect(config.apiServer.extraVolumes).toContainEqual({
      name: "openbao-kms",
      hostPath: "/run/x",
      mountPath: "/run/x",
      readOnly: true,
      pathType: "Directory",
    });
    expect(config.apiServer.extraVolumes).toHaveLength(2);
    const patch = "patches/kube-apiserver0+strategic.yaml";
    expect(textOf(patch)).toBe("");
    expect(parse(textOf(patch, values(), { socketGid: 77 })).spec.securityContext.supplementalGroups).toEqual(
      [77],
    );
  });
});

describe("EncryptionConfiguration", () => {
  test("without a current file: identity writes first, then KMS, and both warn on top", () => {
    for (const [name, order] of [
      ["encryption-config-readers.yaml", ["identity", "kms"]],
      ["encryption-config.yaml", ["kms", "identity"]],
    ] as const) {
      const text = textOf(name);
      expect(text.split("\n")[0]).toContain("ONLY for a cluster that encrypts nothing");
      const [group] = decodeEncryptionConfig(Buffer.from(text), name).groups;
      expect(group?.resources).toEqual(["secrets"]);
      expect(group?.providers.map(({ kind }) => kind)).toEqual([...order]);
      expect(group?.providers.find(({ kind }) => kind === "kms")).toMatchObject({
        apiVersion: "v2",
        name: "openbao",
        endpoint: "unix:///run/openbao-kms/kms.sock",
        timeoutMs: 3000,
      });
    }
  });

  const current = (providers: readonly unknown[], resources: readonly string[] = ["secrets"]) =>
    decodeEncryptionConfig(
      Buffer.from(
        JSON.stringify({
          apiVersion: "apiserver.config.k8s.io/v1",
          kind: "EncryptionConfiguration",
          resources: [
            { resources: ["configmaps"], providers: [{ identity: {} }] },
            { resources, providers },
          ],
        }),
      ),
      "current",
    );
  const secret = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
  const aescbc = { aescbc: { keys: [{ name: "key1", secret }] } };

  test("with one, every provider in force stays a reader, and other resources stay as they are", () => {
    const more = { current: current([aescbc, { identity: {} }]) };
    const kinds = (name: string) =>
      decodeEncryptionConfig(Buffer.from(textOf(name, values(), more)), name).groups.map(({ providers }) =>
        providers.map(({ kind }) => kind),
      );
    expect(kinds("encryption-config-readers.yaml")).toEqual([["identity"], ["aescbc", "kms", "identity"]]);
    expect(kinds("encryption-config.yaml")).toEqual([["identity"], ["kms", "aescbc", "identity"]]);
    expect(textOf("encryption-config.yaml", values(), more)).toContain(secret);
    expect(textOf("encryption-config.yaml", values(), more)).not.toContain("ONLY for");
  });

  test.each(["2024_01_01", "on", "n", "1_000", "0b11", "0o17", "null", "a: b", "a\u007f\u0085b", "é", "x y"])(
    "a key with the name %p is written as text for YAML 1.1",
    (name) => {
      const keyed = current([{ aescbc: { keys: [{ name, secret }] } }, { identity: {} }]);
      const text = textOf("encryption-config.yaml", values(), { current: keyed });
      const [, group] = decodeEncryptionConfig(Buffer.from(text), "made").groups;
      expect(group?.providers[1]).toEqual({ kind: "aescbc", keys: [{ name, secret: expect.anything() }] });
    },
  );

  test("the cache and the timeout of other KMS providers stay as they are", () => {
    const other = {
      kms: { apiVersion: "v1", name: "a", cachesize: 7, endpoint: "unix:///x", timeout: "1m" },
    };
    const text = textOf("encryption-config.yaml", values(), { current: current([other]) });
    expect(parse(text).resources[1].providers[1]).toEqual(other);
  });

  test("a file that has the provider already is not given it twice", () => {
    const kms = { kms: { apiVersion: "v2", name: "openbao", endpoint: "unix:///run/openbao-kms/kms.sock" } };
    const more = { current: current([{ identity: {} }, kms]) };
    expect(textOf("encryption-config.yaml", values(), more).match(/name: openbao/g)).toHaveLength(1);
  });

  test("a provider of that name with another meaning is refused", () => {
    const v2 = { apiVersion: "v2", name: "openbao", endpoint: "unix:///run/openbao-kms/kms.sock" };
    for (const refused of [
      current([{ kms: { ...v2, apiVersion: "v1" } }]),
      current([{ kms: { ...v2, endpoint: "unix:///other" } }]),
      current([{ kms: v2 }], ["events"]),
    ]) {
      expect(() => plan(values(), { current: refused })).toThrow(
        expect.objectContaining({ code: "current_config_conflict" }),
      );
    }
  });

  test("Secrets that no entry covers get an entry of their own", () => {
    const text = textOf("encryption-config.yaml", values(), { current: current([aescbc], ["events"]) });
    const { groups } = decodeEncryptionConfig(Buffer.from(text), "made");
    expect(groups.map(({ resources }) => resources.join())).toEqual(["configmaps", "events", "secrets"]);
  });
});

describe("static pod", () => {
  const deploy = join(import.meta.dir, "..", "..", "..", "deploy");

  test("is the sample of deploy/ with this node's image, group and paths", () => {
    const sample = readFileSync(join(deploy, "static-pod", "bao-kms-provider.yaml"), "utf8");
    const config = parse(readFileSync(join(deploy, "config", "provider-static-pod.yaml"), "utf8"));
    Object.assign(config.auth.jwt, bound);
    const made = textOf("bao-kms-provider.yaml", JSON.stringify(config), {
      model: "static-pod",
      image: digest,
      socketGid: 996,
    });
    expect(parse(made)).toEqual(parse(sample));
  });

  test.each([
    ["no image", { socketGid: 996 }],
    ["an image by tag", { socketGid: 996, image: "registry.example.com/bao-kms-provider:1.0" }],
    ["a group by name", { image: digest }],
  ])("%s is refused", (_, more) => {
    expect(() => plan(values(), { model: "static-pod", ...more })).toThrow(
      expect.objectContaining({ code: "options_conflict" }),
    );
  });
});

test("each file has its mode", () => {
  const pod = { model: "static-pod", image: digest, socketGid: 996 } as const;
  expect(Object.fromEntries(plan(values(), pod).files.map(({ name, mode }) => [name, mode]))).toEqual({
    "config.yaml": 0o640,
    "encryption-config-readers.yaml": 0o600,
    "encryption-config.yaml": 0o600,
    "openbao-policy.hcl": 0o644,
    "openbao-setup.sh": 0o755,
    "kubeadm-config.yaml": 0o644,
    "patches/kube-apiserver0+strategic.yaml": 0o644,
    "bao-kms-provider.yaml": 0o600,
    "installation.json": 0o644,
  });
});

test("installation.json says whether the current providers are kept, and has the digest of each file", () => {
  const record = (more: Partial<InstallationRequest> = {}) =>
    JSON.parse(textOf("installation.json", values(), more));
  expect(record()).toMatchObject({ keepsCurrentProviders: false, newKey: false, policyName: "openbao-kms" });
  expect(record({ current: { groups: [], isLegacyKind: false } }).keepsCurrentProviders).toBe(true);
  const { files } = plan(values());
  expect(record().files).toEqual(
    files.slice(0, -1).map(({ name, text }) => ({
      name,
      sha256: new Bun.CryptoHasher("sha256").update(text).digest("hex"),
    })),
  );
});

test.each<[string, Partial<InstallationRequest>]>([
  ["an image for systemd", { image: digest }],
  ["a node of a KubeadmControlPlane", { model: "cluster-api", image: digest, socketGid: 996, node: "n" }],
  ["a policy name with a slash", { policyName: "a/b" }],
  ["a policy name of nothing", { policyName: "" }],
  ["a policy name that is too long", { policyName: "p".repeat(129) }],
])("%s is refused", (_, more) => {
  expect(() => plan(values(), more)).toThrow(expect.objectContaining({ code: "options_conflict" }));
});

describe("the command", () => {
  const directory = mkdtempSync(join(tmpdir(), "init-"));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, "values.yaml");
  writeFileSync(file, withoutLineage, { mode: 0o640 });
  const type = async (line: string) => {
    const output = recordedOutput();
    const context = { output, environment: {}, callerEnvironment: {}, signal: new AbortController().signal };
    return {
      code: await run(line.split(" "), context, COMMANDS),
      stdout: output.stdout(),
      stderr: output.stderr(),
    };
  };

  test("writes all files with their modes, and installation.json names them", async () => {
    const out = join(directory, "node-1");
    const { code, stdout } = await type(`init --values ${file} --out ${out} --new-key`);
    expect(code).toBe(0);
    expect(stdout).toContain("fingerprint");
    expect(readdirSync(out).sort()).toEqual([
      "config.yaml",
      "encryption-config-readers.yaml",
      "encryption-config.yaml",
      "installation.json",
      "kubeadm-config.yaml",
      "openbao-policy.hcl",
      "openbao-setup.sh",
    ]);
    expect(statSync(join(out, "encryption-config.yaml")).mode & 0o777).toBe(0o600);
    expect(statSync(join(out, "openbao-setup.sh")).mode & 0o777).toBe(0o755);
    expect(statSync(out).mode & 0o777).toBe(0o700);
    expect(JSON.parse(readFileSync(join(out, "installation.json"), "utf8"))).toMatchObject({
      model: "systemd",
      newKey: true,
      files: expect.arrayContaining([expect.objectContaining({ name: "config.yaml" })]),
    });
    expect(readdirSync(directory).sort()).toEqual(["node-1", "values.yaml"]);
  });

  test("reads values that all may read, and no keys that others may", async () => {
    const current = join(directory, "current.yaml");
    const take = async (valuesMode: number, currentMode: number) => {
      const out = join(directory, `modes-${valuesMode}-${currentMode}`);
      chmodSync(file, valuesMode);
      writeFileSync(current, textOf("encryption-config.yaml"));
      chmodSync(current, currentMode);
      const words = `--values ${file} --out ${out} --new-key --current-encryption-config ${current}`;
      return (await type(`init ${words}`)).code;
    };
    expect(await take(0o644, 0o600)).toBe(0);
    expect(await take(0o644, 0o644)).toBe(3);
    expect((await type(`init --values ${file}`)).code).toBe(2);
    expect((await type(`init --out ${join(directory, "none")}`)).code).toBe(2);
  });

  test("overwrites nothing, and an empty directory will do", async () => {
    const full = join(directory, "full");
    mkdirSync(full);
    writeFileSync(join(full, "x"), "");
    expect(await type(`init --values ${file} --out ${full} --new-key`)).toMatchObject({ code: 3 });
    expect(readdirSync(full)).toEqual(["x"]);
    const empty = join(directory, "empty");
    mkdirSync(empty);
    expect(await type(`init --values ${file} --out ${empty} --new-key`)).toMatchObject({ code: 0 });
  });

  test("next steps are those of the model and of the node", async () => {
    const perNode = join(directory, "per-node.yaml");
    writeFileSync(perNode, withoutLineage.replace('"role":"kms"', '"role":"kms-{node}"'), { mode: 0o640 });
    const out = join(directory, "cp-1");
    const pod = await type(
      `init --values ${perNode} --out ${out} --node cp-1 --new-key --model static-pod --socket-gid 77 --image ${digest}`,
    );
    expect(pod.code).toBe(0);
    expect(pod.stdout).toContain("/etc/kubernetes/manifests");
    expect(pod.stdout).toContain("--service-user 65532");
    expect(pod.stdout).toContain(`init --values ${out}/values.yaml --node NAME`);
    expect(statSync(join(out, "patches")).mode & 0o777).toBe(0o700);
    const further = await type(
      `init --values ${out}/values.yaml --out ${join(directory, "cp-2")} --node cp-2`,
    );
    expect(further.stdout).not.toContain("static-pod");
    expect(further.stdout).not.toContain("--node NAME");
    expect(readFileSync(join(directory, "cp-2", "config.yaml"), "utf8")).toContain("role: kms-cp-2");
  });

  test("says what is missing", async () => {
    expect((await type("init")).stderr).toContain("--values is missing");
  });
});
