import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { stringify } from "yaml";
import { KubernetesError } from "./errors.ts";
import { decodeKubeconfig } from "./kubeconfig.ts";

const base64 = (text: string): string => Buffer.from(text).toString("base64");

function kubeconfig(cluster: object = {}, user: object = { token: "t" }, top: object = {}): Uint8Array {
  return Buffer.from(
    stringify({
      apiVersion: "v1",
      kind: "Config",
      "current-context": "one",
      contexts: [
        { name: "one", context: { cluster: "c", user: "u", namespace: "n" } },
        { name: "two", context: { cluster: "c", user: "missing" } },
      ],
      clusters: [
        {
          name: "c",
          cluster: {
            server: "https://10.0.0.1:6443",
            "certificate-authority-data": base64("CA"),
            ...cluster,
          },
        },
      ],
      users: [{ name: "u", user }],
      ...top,
    }),
  );
}

const decode = (bytes: Uint8Array, context?: string) => decodeKubeconfig(bytes, "k", context);

test("server, name and CA of the current context", () => {
  expect(decode(kubeconfig())).toMatchObject({
    server: "https://10.0.0.1:6443",
    serverName: "10.0.0.1",
    ca: { kind: "inline", text: "CA" },
    user: { kind: "token", token: { kind: "inline", text: "t" } },
  });
  expect(decode(kubeconfig({ "tls-server-name": "kubernetes" })).serverName).toBe("kubernetes");
  expect(decode(kubeconfig({ server: "https://[::1]:6443" })).serverName).toBe("::1");
});

describe("users", () => {
  test.each<[string, object, object]>([
    [
      "certificate in the file",
      { "client-certificate-data": base64("C"), "client-key-data": base64("K") },
      { kind: "certificate", certificate: { kind: "inline", text: "C" }, key: { kind: "inline", text: "K" } },
    ],
    [
      "certificate beside it",
      { "client-certificate": "c.crt", "client-key": "c.key" },
      { kind: "certificate", certificate: { kind: "file", path: "c.crt" } },
    ],
    ["token file", { tokenFile: "/t" }, { kind: "token", token: { kind: "file", path: "/t" } }],
    [
      "exec plugin",
      {
        exec: { apiVersion: "client.authentication.k8s.io/v1", command: "get-token", args: null, env: null },
      },
      { kind: "exec", plugin: { command: "get-token", provideClusterInfo: false } },
    ],
    [
      "exec plugin that gets the cluster",
      {
        exec: {
          apiVersion: "client.authentication.k8s.io/v1",
          command: "get-token",
          provideClusterInfo: true,
        },
      },
      { kind: "exec", plugin: { provideClusterInfo: true } },
    ],
  ])("%s", (_, user, expected) => {
    expect(decode(kubeconfig({}, user)).user).toMatchObject(expected);
  });
});

test.each([
  ["a certificate without its key", { "client-certificate-data": base64("C") }],
  ["a key without its certificate", { "client-key": "c.key" }],
])("%s is no credential", (_, user) => {
  expect(() => decode(kubeconfig({}, user))).toThrow(KubernetesError);
});

test("a kubeconfig has at most 1 MiB", () => {
  const bytes = (length: number): Uint8Array => {
    const text = Buffer.from(kubeconfig()).toString();
    return Buffer.from(`${text}#`.padEnd(length, "x"));
  };
  expect(decode(bytes(1024 * 1024)).serverName).toBe("10.0.0.1");
  expect(() => decode(bytes(1024 * 1024 + 1))).toThrow(KubernetesError);
});

describe("what is not the context in use does not matter", () => {
  test.each<[string, object]>([
    [
      "another user's old exec plugin",
      {
        users: [
          { name: "u", user: { token: "t" } },
          { name: "x", user: { exec: { apiVersion: "client.authentication.k8s.io/v1alpha1" } } },
        ],
      },
    ],
    [
      "another user that is null",
      {
        users: [
          { name: "u", user: { token: "t" } },
          { name: "x", user: null },
        ],
      },
    ],
    [
      "another context without a user",
      {
        contexts: [
          { name: "one", context: { cluster: "c", user: "u" } },
          { name: "x", context: { cluster: "c" } },
        ],
      },
    ],
    [
      "another cluster without verification",
      {
        clusters: [
          {
            name: "c",
            cluster: { server: "https://10.0.0.1:6443", "certificate-authority-data": base64("CA") },
          },
          { name: "x", cluster: { "insecure-skip-tls-verify": true } },
        ],
      },
    ],
    ["unknown fields", { preferences: {}, extensions: [{}] }],
    ["no apiVersion and kind", { apiVersion: "", kind: null }],
  ])("%s", (_, top) => {
    expect(decode(kubeconfig({}, { token: "t" }, top)).server).toBe("https://10.0.0.1:6443");
  });
});

test("empty texts and null mean unset, as for client-go", () => {
  const access = decode(
    kubeconfig(
      {
        "certificate-authority": "",
        "tls-server-name": "",
        "proxy-url": "",
        "insecure-skip-tls-verify": null,
        extensions: null,
      },
      {
        token: "t",
        tokenFile: "",
        exec: null,
        username: "",
        "auth-provider": null,
        "client-certificate": "",
        "client-key-data": null,
      },
    ),
  );
  expect(access).toMatchObject({ serverName: "10.0.0.1", user: { kind: "token", token: { text: "t" } } });
  expect(access.statedServerName).toBeUndefined();
});

test("the cluster's extension for exec plugins, and no other", () => {
  const extension = { audience: "abc" };
  const extensions = [
    { name: "other", extension: 1 },
    { name: "client.authentication.k8s.io/exec", extension },
  ];
  expect(decode(kubeconfig({ extensions })).execConfig).toEqual(extension);
  expect(decode(kubeconfig({ extensions: extensions.slice(0, 1) })).execConfig).toBeUndefined();
});

describe("what a refusal says", () => {
  test.each<[string, Uint8Array, string]>([
    ["an alias", Buffer.from("a: &a [x]\nb: *a\n"), "alias"],
    ["several documents", Buffer.from("a: 1\n---\nb: 2\n"), "more than one YAML document"],
    ["a field twice", Buffer.from("kind: Config\nkind: Config\n"), "one field twice"],
    [
      "a name twice",
      kubeconfig(
        {},
        {},
        {
          users: [
            { name: "u", user: { token: "t" } },
            { name: "u", user: {} },
          ],
        },
      ),
      'users has two entries named "u"',
    ],
    ["a missing user", kubeconfig({}, {}, { users: null }), 'users has no entry named "u"'],
    ["no current context", kubeconfig({}, {}, { "current-context": "" }), "no current-context"],
    [
      "an old plugin",
      kubeconfig({}, { exec: { apiVersion: "client.authentication.k8s.io/v1alpha1", command: "x" } }),
      "user: exec.apiVersion",
    ],
    [
      "no user in the context",
      kubeconfig({}, {}, { contexts: [{ name: "one", context: { cluster: "c" } }] }),
      "names none of users",
    ],
  ])("%s", (_, bytes, words) => {
    expect(() => decode(bytes)).toThrow(words);
  });
});

describe("refused", () => {
  test.each<[string, Uint8Array, string | undefined]>([
    ["no verification", kubeconfig({ "insecure-skip-tls-verify": true }), undefined],
    ["a proxy", kubeconfig({ "proxy-url": "http://proxy" }), undefined],
    ["plain HTTP", kubeconfig({ server: "http://10.0.0.1" }), undefined],
    ["a path", kubeconfig({ server: "https://10.0.0.1/k8s/clusters/c-1" }), undefined],
    ["no CA", kubeconfig({ "certificate-authority-data": "" }), undefined],
    ["a password", kubeconfig({}, { username: "admin", password: "x" }), undefined],
    ["an auth provider", kubeconfig({}, { "auth-provider": { name: "gcp" } }), undefined],
    ["no credential", kubeconfig({}, {}), undefined],
    ["a context without its user", kubeconfig(), "two"],
    ["an unknown context", kubeconfig(), "three"],
    ["no list of contexts", kubeconfig({}, { token: "t" }, { contexts: "x" }), undefined],
    ["an old plugin version", kubeconfig({}, { exec: { apiVersion: "v1alpha1", command: "x" } }), undefined],
    ["bytes", Buffer.of(0xff, 0xfe), undefined],
    ["aliases", Buffer.from("a: &a [x]\nb: *a\n"), undefined],
  ])("%s", (_, bytes, context) => {
    expect(() => decode(bytes, context)).toThrow(KubernetesError);
  });

  test("no bytes make it fail otherwise, and no message holds a secret", () => {
    const good = Buffer.from(kubeconfig({}, { token: "CANARY" }));
    fc.assert(
      fc.property(fc.nat({ max: good.length - 1 }), fc.nat({ max: 255 }), (at, byte) => {
        const hostile = Buffer.from(good);
        hostile[at] = byte;
        try {
          decode(hostile);
        } catch (error) {
          expect(error).toBeInstanceOf(KubernetesError);
          expect(String(error)).not.toContain("CANARY");
        }
      }),
      { numRuns: 300 },
    );
  });
});
