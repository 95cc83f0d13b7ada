import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as v from "valibot";
import { parse } from "yaml";
import { refusedControlPlane } from "../../../test/fakes/cluster-api/structural-schema.ts";
import { configFile } from "../../../test/fakes/config-file.ts";
import { recordedOutput } from "../../../test/fakes/recorded-output.ts";
import { run } from "../../cli/run.ts";
import { COMMANDS } from "../table.ts";
import { type InstallationRequest, planInstallation } from "./installation.ts";

const digest = `registry.example.com/bao-kms-provider@sha256:${"0".repeat(64)}`;
const bound = { expectedIssuer: "https://i.test", expectedAudience: ["openbao"], expectedSubject: "cp" };
const jwt = { mountPath: "auth/jwt", role: "kms", jwtFile: "/var/lib/openbao-kms/identity.jwt", ...bound };

const file = v.object({
  path: v.string(),
  owner: v.literal("root:root"),
  permissions: v.literal("0600"),
  content: v.optional(v.string()),
  contentFrom: v.optional(v.object({ secret: v.object({ name: v.string(), key: v.string() }) })),
});
const patches = v.object({ patches: v.object({ directory: v.string() }) });
const controlPlane = v.object({
  apiVersion: v.literal("controlplane.cluster.x-k8s.io/v1beta2"),
  kind: v.literal("KubeadmControlPlane"),
  spec: v.object({
    kubeadmConfigSpec: v.object({
      clusterConfiguration: v.object({
        apiServer: v.object({
          extraArgs: v.array(v.unknown()),
          extraVolumes: v.array(v.unknown()),
        }),
      }),
      initConfiguration: patches,
      joinConfiguration: patches,
      files: v.array(file),
      preKubeadmCommands: v.array(v.string()),
    }),
  }),
});

type Fields = Parameters<NonNullable<Parameters<typeof configFile>[0]>>[0];
const CA = "/etc/openbao-kms/ca.crt";
const valuesWith = (more: object = {}, openbao: object = {}): string =>
  configFile((fields: Fields) => ({
    ...fields,
    openbao: { ...fields.openbao, caCertFile: CA, ...openbao },
    auth: { method: "jwt", jwt },
    ...more,
  }));

function plan(text: string, more: Partial<InstallationRequest> = {}) {
  return planInstallation({
    values: { bytes: Buffer.from(text), file: "values.yaml" },
    model: "cluster-api",
    isNewKey: false,
    node: undefined,
    current: undefined,
    policyName: "openbao-kms",
    image: digest,
    socketGid: 996,
    random: (bytes) => new Uint8Array(bytes),
    ...more,
  });
}
function made(text = valuesWith()) {
  const { files } = plan(text);
  const manifest = files.find(({ name }) => name === "kubeadm-control-plane.yaml")?.text ?? "";
  const { kubeadmConfigSpec } = v.parse(controlPlane, parse(manifest)).spec;
  const contentOf = (path: string): string =>
    kubeadmConfigSpec.files.find((each) => each.path === path)?.content ?? "";
  const fromSecret = kubeadmConfigSpec.files.flatMap(({ path, contentFrom }) =>
    contentFrom === undefined ? [] : [[path, contentFrom.secret.key] as const],
  );
  return { files, manifest, spec: kubeadmConfigSpec, contentOf, fromSecret };
}
const TMPFILES = "/etc/tmpfiles.d/openbao-kms.conf";

describe("the manifest", () => {
  test("has nothing that the published schema refuses", () => {
    expect(refusedControlPlane(parse(made().manifest))).toEqual([]);
  });

  test.each([
    ["an argument as in v1beta1", { clusterConfiguration: { apiServer: { extraArgs: { a: "b" } } } }],
    ["an unknown field", { patches: { directory: "/x" } }],
    ["a file without a path", { files: [{ content: "x" }] }],
    ["a file with too much", { files: [{ path: "/x", content: "x".repeat(10_241) }] }],
    ["an empty content", { files: [{ path: "/x", content: "" }] }],
    ["a number as permissions", { files: [{ path: "/x", content: "x", permissions: 600 }] }],
  ])("%s would be refused", (_, spec) => {
    const object = parse(made().manifest);
    Object.assign(object.spec.kubeadmConfigSpec, spec);
    expect(refusedControlPlane(object)).toHaveLength(1);
  });

  test("the machine gets the files of the other models, and kube-apiserver their flags and mounts", () => {
    const { files, spec, contentOf } = made();
    const pod = plan(valuesWith(), { model: "static-pod" }).files;
    const podFile = (name: string): string => pod.find((each) => each.name === name)?.text ?? "";
    expect(contentOf("/etc/openbao-kms/config.yaml")).toBe(podFile("config.yaml"));
    expect(contentOf("/etc/kubernetes/manifests/bao-kms-provider.yaml")).toBe(
      podFile("bao-kms-provider.yaml"),
    );
    const patch = "patches/kube-apiserver0+strategic.yaml";
    expect(contentOf(`/etc/kubernetes/${patch}`)).toBe(podFile(patch));
    expect(spec.clusterConfiguration.apiServer).toEqual(parse(podFile("kubeadm-config.yaml")).apiServer);
    expect(spec.initConfiguration.patches.directory).toBe("/etc/kubernetes/patches");
    expect(spec.joinConfiguration).toEqual(spec.initConfiguration);
    expect(contentOf("/etc/openbao-kms/config.yaml")).toContain("missingState: observe");
    expect(files.map(({ name }) => name).sort()).toEqual([
      "config.yaml",
      "encryption-config-readers.yaml",
      "encryption-config.yaml",
      "installation.json",
      "kubeadm-control-plane.yaml",
      "openbao-policy.hcl",
      "openbao-setup.sh",
    ]);
  });

  test("systemd-tmpfiles makes the directories, with the modes of the static pod", () => {
    const { spec, contentOf } = made();
    expect(spec.preKubeadmCommands).toEqual([
      "groupadd --system --gid 996 openbao-kms-socket",
      `systemd-tmpfiles --create ${TMPFILES}`,
    ]);
    expect(contentOf(TMPFILES).split("\n").slice(1)).toEqual([
      'd "/etc/openbao-kms" 0750 root 65532 -',
      'd "/var/lib/openbao-kms" 0750 root 65532 -',
      'd "/var/lib/openbao-kms/state" 0750 65532 65532 -',
      'd "/run/openbao-kms" 2750 65532 996 -',
      'z "/etc/openbao-kms/config.yaml" 0640 root 65532 -',
      'z "/etc/openbao-kms/ca.crt" 0640 root 65532 -',
      "",
    ]);
  });

  test("a path is one word for systemd-tmpfiles, and a directory of the machine keeps its mode", () => {
    const text = valuesWith(
      { state: { path: "/srv/state/key-registry.json" } },
      { caCertFile: '/etc/openbao-kms/a b/100%"\\' },
    );
    expect(made(text).contentOf(TMPFILES)).toContain('z "/etc/openbao-kms/a b/100%%\\"\\\\" 0640');
    expect(made(text).contentOf(TMPFILES)).not.toContain("/srv");
  });
});

describe("credentials", () => {
  const encryption = ["/etc/kubernetes/encryption/encryption-config.yaml", "encryption-config-readers.yaml"];
  const client = "/etc/openbao-kms/client";
  const at = { mountPath: "auth/cert", source: "file", certificateFile: `${client}/c` };
  const oauth2 = {
    tokenUrl: "https://i.test/token",
    clientId: "kms",
    clientSecretFile: `${client}/secret`,
    caCertFile: CA,
  };
  const pkcs11 = {
    certificateFile: `${client}/c`,
    modulePath: "/usr/lib/softhsm.so",
    tokenLabel: "t",
    keyLabel: "k",
    pinFile: `${client}/pin`,
  };
  const spiffe = { socketPath: "/run/spire/api.sock", audience: "openbao", spiffeId: "spiffe://x/kms" };
  const withJwt = (more: object) => ({ method: "jwt", jwt: { mountPath: "auth/jwt", role: "kms", ...more } });
  const approle = { mountPath: "auth/approle", roleIdFile: `${client}/r`, secretIdFile: `${client}/s` };

  test.each<[string, object, readonly (readonly string[])[], string | undefined]>([
    [
      "AppRole",
      { method: "approle", approle },
      [
        [`${client}/s`, "secret-id"],
        [`${client}/r`, "role-id"],
      ],
      undefined,
    ],
    [
      "a certificate and its key",
      { method: "cert", cert: { ...at, privateKeyFile: `${client}/k` } },
      [
        [`${client}/c`, "tls.crt"],
        [`${client}/k`, "tls.key"],
      ],
      undefined,
    ],
    [
      "both in one file",
      { method: "cert", cert: { ...at, privateKeyFile: `${client}/c` } },
      [[`${client}/c`, "tls.crt"]],
      undefined,
    ],
    [
      "PKCS#11",
      { method: "cert", cert: { mountPath: "auth/cert", source: "pkcs11", pkcs11 } },
      [
        [`${client}/c`, "tls.crt"],
        [`${client}/pin`, "pin"],
      ],
      "/usr/lib/softhsm.so",
    ],
    [
      "OAuth2 with the CA of OpenBao",
      withJwt({ source: "oauth2", oauth2, ...bound }),
      [[`${client}/secret`, "client-secret"]],
      undefined,
    ],
    [
      "OAuth2 with a CA of its own",
      withJwt({ source: "oauth2", oauth2: { ...oauth2, caCertFile: `${client}/ca` }, ...bound }),
      [
        [`${client}/secret`, "client-secret"],
        [`${client}/ca`, "oauth2-ca.crt"],
      ],
      undefined,
    ],
    ["a JWT that the machine renews", { method: "jwt", jwt }, [], jwt.jwtFile],
    ["an agent's socket", withJwt({ source: "spiffe", spiffe }), [], "/run/spire/api.sock"],
  ])(
    "%s: references to the Secret, and a step for what the machine has",
    async (_, auth, keys, ofMachine) => {
      const { fromSecret, contentOf } = made(valuesWith({ auth }));
      expect<readonly (readonly string[])[]>(fromSecret).toEqual([[CA, "ca.crt"], ...keys, encryption]);
      expect(contentOf(TMPFILES)).not.toMatch(/spire|\/usr/);
      const { stdout } = await typed(valuesWith({ auth }));
      const names = [
        "ca.crt",
        ...keys.map(([, key]) => key),
        "encryption-config-readers.yaml",
        "encryption-config.yaml",
      ];
      expect(stdout).toContain(`the keys ${names.join(", ")}\n`);
      expect(stdout.match(/before kubeadm runs: (.*)\n/)?.[1]).toBe(ofMachine);
    },
  );

  test("a CA bundle of the machine is left as it is", () => {
    const bundle = "/etc/ssl/certs/ca-certificates.crt";
    const { fromSecret, contentOf } = made(valuesWith({}, { caCertFile: bundle }));
    expect<readonly (readonly string[])[]>(fromSecret).toEqual([encryption]);
    expect(contentOf(TMPFILES)).not.toContain("/etc/ssl");
  });

  test("no key of the current EncryptionConfiguration is in the manifest", async () => {
    const key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    const current = {
      apiVersion: "apiserver.config.k8s.io/v1",
      kind: "EncryptionConfiguration",
      resources: [
        {
          resources: ["secrets"],
          providers: [{ aescbc: { keys: [{ name: "k", secret: key }] } }, { identity: {} }],
        },
      ],
    };
    const { files } = await typed(valuesWith(), current);
    const withKey = Object.entries(files).filter(([, text]) => text.includes(key));
    expect(withKey.map(([name]) => name).sort()).toEqual([
      "encryption-config-readers.yaml",
      "encryption-config.yaml",
    ]);
  });
});

describe("what is refused", () => {
  const values = valuesWith();
  test.each<[string, () => unknown]>([
    ["a node's name", () => plan(values, { node: "cp-1" })],
    ["a place for a node's name", () => plan(withJwtRole("kms-{node}"))],
    ["no image", () => plan(values, { image: undefined })],
    ["an image by tag", () => plan(values, { image: "registry.example.com/bao-kms-provider:1" })],
    ["a group by name", () => plan(values, { socketGid: undefined })],
    ["a value that cloud-init would expand", () => plan(withJwtRole("kms-{{ v1.region }}"))],
    ["a statement of a template", () => plan(withJwtRole("{% raw %}"))],
    ["a comment of a template", () => plan(withJwtRole("{# x #}"))],
    ["a configuration over the limit", () => plan(valuesOfLength(10_241))],
    ["a path over the limit", () => plan(valuesWith({}, { caCertFile: caOfLength(513) }))],
  ])("%s", (_, make) => {
    expect(make).toThrow(expect.objectContaining({ code: "options_conflict" }));
  });

  test("the limits themselves are accepted", () => {
    expect(made(valuesOfLength(10_240)).contentOf("/etc/openbao-kms/config.yaml")).toHaveLength(10_240);
    expect(refusedControlPlane(parse(made(valuesOfLength(10_240)).manifest))).toEqual([]);
    const path = caOfLength(512);
    expect(made(valuesWith({}, { caCertFile: path })).fromSecret[0]).toEqual([path, "ca.crt"]);
  });

  const withJwtRole = (role: string): string =>
    valuesWith({ auth: { method: "jwt", jwt: { ...jwt, role } } });
  const caOfLength = (length: number): string => `/etc/openbao-kms/${"a".repeat(length - 17)}`;
  /** Values whose config.yaml has this length. */
  function valuesOfLength(length: number): string {
    const withAudiences = (first: number): string => {
      const expectedAudience = Array.from({ length: 12 }, (_, index) =>
        `${index}-`.padEnd(index === 0 ? first : 740, "a"),
      );
      return valuesWith({ auth: { method: "jwt", jwt: { ...jwt, expectedAudience } } });
    };
    const config = plan(withAudiences(100), { model: "static-pod" }).files[0]?.text ?? "";
    return withAudiences(100 + length - config.length);
  }
});

const directory = mkdtempSync(join(tmpdir(), "init-cluster-api-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Runs the command, and returns its summary and the files that it wrote. */
async function typed(text: string, current?: object) {
  const work = mkdtempSync(join(directory, "run-"));
  const write = (name: string, content: string): string => {
    writeFileSync(join(work, name), content, { mode: 0o600 });
    return join(work, name);
  };
  const output = recordedOutput();
  const context = { output, environment: {}, callerEnvironment: {}, signal: new AbortController().signal };
  const out = join(work, "out");
  const words = ["init", "--values", write("values.yaml", text), "--out", out, "--model", "cluster-api"];
  if (current !== undefined) {
    words.push("--current-encryption-config", write("current.yaml", JSON.stringify(current)));
  }
  const code = await run([...words, "--socket-gid", "996", "--image", digest], context, COMMANDS);
  expect(output.stderr()).toBe("");
  expect(code).toBe(0);
  const files = readdirSync(out).map((name) => [name, readFileSync(join(out, name), "utf8")] as const);
  return { stdout: output.stdout(), files: Object.fromEntries(files) };
}
