import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { credentialHolder, type KubeCredential, resolveCredential } from "./credential.ts";
import { KubernetesError } from "./errors.ts";
import type { ExecPlugin, KubeAccess, KubeUser } from "./kubeconfig.ts";

let dir = "";
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "credential-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const never = new AbortController().signal;

function resolved(user: KubeUser, hasTerminal = false, signal = never) {
  const access: KubeAccess = {
    server: "https://10.0.0.1:6443",
    serverName: "10.0.0.1",
    statedServerName: "kubernetes",
    execConfig: { audience: "abc" },
    ca: { kind: "inline", text: "CA" },
    user,
  };
  const euid = process.geteuid?.() ?? 0;
  return resolveCredential(
    access,
    {
      kubeconfigPath: join(dir, "config"),
      euid,
      environment: { PATH: process.env["PATH"], NODE_EXTRA_CA_CERTS: "/caller/ca.pem" },
      hasTerminal,
    },
    signal,
  );
}

const VERSION = "client.authentication.k8s.io/v1";
/** What a plugin prints with this status. */
const printing = (status: object): string =>
  `printf '%s' '${JSON.stringify({ apiVersion: VERSION, kind: "ExecCredential", status })}'`;

function plugin(script: string, change: Partial<ExecPlugin> = {}): KubeUser {
  writeFileSync(join(dir, "plugin"), `#!/bin/sh\n${script}\n`, { mode: 0o700 });
  return {
    kind: "exec",
    plugin: {
      apiVersion: "client.authentication.k8s.io/v1",
      command: "./plugin",
      args: ["one"],
      env: [{ name: "WORD", value: "word" }],
      provideClusterInfo: true,
      interactiveMode: "IfAvailable",
      ...change,
    },
  };
}

test("a token file beside the kubeconfig, without the line break at its end", async () => {
  writeFileSync(join(dir, "token"), "secret-token\n", { mode: 0o600 });
  const { token } = await resolved({ kind: "token", token: { kind: "file", path: "token" } });
  expect(token?.expose()).toBe("secret-token");
});

test("a token file has 256 KiB at most", async () => {
  const read = (length: number) => {
    writeFileSync(join(dir, "token"), "t".repeat(length), { mode: 0o600 });
    return resolved({ kind: "token", token: { kind: "file", path: "token" } });
  };
  expect((await read(262_144)).token?.expose()).toHaveLength(262_144);
  await expect(read(262_145)).rejects.toMatchObject({ code: "file_too_large" });
});

test("a certificate that others may read is taken", async () => {
  writeFileSync(join(dir, "client.crt"), "C", { mode: 0o644 });
  writeFileSync(join(dir, "client.key"), "K", { mode: 0o600 });
  const { certificate } = await resolved({
    kind: "certificate",
    certificate: { kind: "file", path: "client.crt" },
    key: { kind: "file", path: "client.key" },
  });
  expect([certificate?.chainPem, certificate?.keyPem.expose()]).toEqual(["C", "K"]);
});

test.each<[string, KubeUser]>([
  ["a token", { kind: "token", token: { kind: "file", path: "open" } }],
  [
    "a key",
    {
      kind: "certificate",
      certificate: { kind: "inline", text: "C" },
      key: { kind: "file", path: "open" },
    },
  ],
])("%s that others may read is refused", async (_, user) => {
  writeFileSync(join(dir, "open"), "K", { mode: 0o644 });
  await expect(resolved(user)).rejects.toMatchObject({ code: "file_readable_by_others" });
});

describe("an exec plugin", () => {
  test("is given its arguments, its environment and the cluster, and prints a token", async () => {
    const { token } = await resolved(
      plugin(
        `case "$KUBERNETES_EXEC_INFO" in *10.0.0.1*) ;; *) exit 9;; esac
printf '{"apiVersion":"${VERSION}","kind":"ExecCredential","status":{"token":"%s-%s"}}' "$1" "$WORD"`,
      ),
    );
    expect(token?.expose()).toBe("one-word");
  });

  test("or a certificate", async () => {
    const { certificate } = await resolved(
      plugin(printing({ clientCertificateData: "C", clientKeyData: "K" })),
    );
    expect(certificate?.chainPem).toBe("C");
    expect(certificate?.keyPem.expose()).toBe("K");
  });

  test.each([
    ["that fails", `${printing({ token: "t" })}; exit 3`],
    ["that prints nothing", "true"],
    ["that prints something else", "echo '{}'"],
    ["that prints an empty token", printing({ token: "" })],
    ["that prints a token with a line break", printing({ token: "a\nb" })],
    ["that prints a certificate without its key", printing({ clientCertificateData: "C" })],
    ["that prints a key without its certificate", printing({ token: "t", clientKeyData: "K" })],
    ["that prints a warning first", `echo warning; ${printing({ token: "t" })}`],
    ["of another version", printing({ token: "t" }).replace("k8s.io/v1", "k8s.io/v1beta1")],
    ["without a version", printing({ token: "t" }).replace("apiVersion", "version")],
    [
      "that prints without end",
      "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done",
    ],
  ])("%s is refused", async (_, script) => {
    expect(await resolved(plugin(script)).catch((error: unknown) => error)).toBeInstanceOf(KubernetesError);
  });

  test.each<[string, object]>([
    ["empty", { token: "t", clientCertificateData: "", clientKeyData: "" }],
    ["null", { token: "t", clientCertificateData: null, clientKeyData: null, expirationTimestamp: null }],
  ])("certificate data that is %s beside a token does not count", async (_, status) => {
    const credential = await resolved(plugin(printing(status)));
    expect(credential.token?.expose()).toBe("t");
    expect(credential.certificate).toBeUndefined();
  });

  test("a token beside a certificate is kept", async () => {
    const credential = await resolved(
      plugin(printing({ token: "t", clientCertificateData: "C", clientKeyData: "K" })),
    );
    expect(credential.token?.expose()).toBe("t");
    expect(credential.certificate?.chainPem).toBe("C");
  });

  test.each([
    ["YAML", `printf 'apiVersion: ${VERSION}\\nkind: ExecCredential\\nstatus:\\n  token: t\\n'`],
    ["a byte order mark", `printf '\\357\\273\\277'; ${printing({ token: "t" })}`],
  ])("%s is read, as client-go reads it", async (_, script) => {
    expect((await resolved(plugin(script))).token?.expose()).toBe("t");
  });

  test("prints 256 KiB at most", async () => {
    const padded = (length: number) => {
      const printed = JSON.stringify({ apiVersion: VERSION, kind: "ExecCredential", status: { token: "t" } });
      writeFileSync(join(dir, "printed"), printed.padEnd(length, " "));
      return resolved(plugin(`cat ${join(dir, "printed")}; exec >&-; sleep 0.1`));
    };
    expect((await padded(262_144)).token?.expose()).toBe("t");
    await expect(padded(262_145)).rejects.toMatchObject({ code: "exec_plugin_failed" });
  });

  test("gets the caller's own environment", async () => {
    const script = `[ "$NODE_EXTRA_CA_CERTS" = /caller/ca.pem ] || exit 9; ${printing({ token: "t" })}`;
    expect((await resolved(plugin(script))).token?.expose()).toBe("t");
  });

  test("gets the cluster only when it asks, with CA, stated name and configuration", async () => {
    const infoFile = join(dir, "info");
    const script = `printf '%s' "$KUBERNETES_EXEC_INFO" > ${infoFile}; ${printing({ token: "t" })}`;
    await resolved(plugin(script));
    expect(await Bun.file(infoFile).json()).toEqual({
      apiVersion: VERSION,
      kind: "ExecCredential",
      spec: {
        interactive: false,
        cluster: {
          server: "https://10.0.0.1:6443",
          "tls-server-name": "kubernetes",
          "certificate-authority-data": Buffer.from("CA").toString("base64"),
          config: { audience: "abc" },
        },
      },
    });
    await resolved(plugin(script, { provideClusterInfo: false }));
    expect((await Bun.file(infoFile).json()).spec).toEqual({ interactive: false });
  });

  test.each<[ExecPlugin["interactiveMode"], boolean, boolean | "refused"]>([
    ["Never", true, false],
    ["Never", false, false],
    ["IfAvailable", true, true],
    ["IfAvailable", false, false],
    ["Always", true, true],
    ["Always", false, "refused"],
  ])("interactiveMode %s, terminal %p", async (interactiveMode, hasTerminal, expected) => {
    const script = `case "$KUBERNETES_EXEC_INFO" in *'"interactive":true'*) t=true;; *) t=false;; esac; ${printing({ token: "TOKEN" }).replace("TOKEN", "'$t'")}`;
    const found = await resolved(plugin(script, { interactiveMode }), hasTerminal).then(
      ({ token }) => token?.expose() === "true",
      () => "refused",
    );
    expect(found).toBe(expected);
  });

  test("that is not installed: its hint is shown", async () => {
    const user = plugin("true", {
      command: "no-such-plugin-here",
      installHint: "install it from example.com",
    });
    expect(String(await resolved(user).catch((error: unknown) => error))).toContain(
      "install it from example.com",
    );
  });

  test("that may not be run is refused, with the cause", async () => {
    const user = plugin("true");
    chmodSync(join(dir, "plugin"), 0o600);
    await expect(resolved(user)).rejects.toMatchObject({
      code: "exec_plugin_failed",
      cause: { code: "EACCES" },
    });
    rmSync(join(dir, "plugin"));
  });

  test("ends with the reason of an abort", async () => {
    const aborted = AbortSignal.abort(new Error("stopped"));
    await expect(resolved(plugin("true"), false, aborted)).rejects.toThrow("stopped");
  });

  test("that is not there is refused", async () => {
    const user = plugin("true");
    rmSync(join(dir, "plugin"));
    expect(await resolved(user).catch((error: unknown) => error)).toMatchObject({
      code: "exec_plugin_failed",
    });
  });
});

describe("one credential for all clients", () => {
  /** Makes a new one each time; the calls named here fail. */
  function holder(...failing: readonly number[]) {
    const made: KubeCredential[] = [];
    const held = credentialHolder(async () => {
      const credential = {};
      const count = made.push(credential);
      if (failing.includes(count)) {
        throw new Error("no credential");
      }
      return credential;
    });
    return { ...held, made };
  }

  test("is made once, and anew for all who were refused with it", async () => {
    const { get, renew, made } = holder();
    const [first] = await Promise.all([get(), get()]);
    expect(made).toHaveLength(1);
    const [second, third] = await Promise.all([renew(first), renew(first)]);
    expect(made).toHaveLength(2);
    expect(second).toBe(third);
    expect(second).not.toBe(first);
    expect(await renew(first)).toBe(second);
    expect(await get()).toBe(second);
    expect(made).toHaveLength(2);
  });

  test("that could not be made is tried again by the next who is refused", async () => {
    const { get, renew, made } = holder(2);
    const first = await get();
    await expect(renew(first)).rejects.toThrow("no credential");
    expect(await renew(first)).toBe(await get());
    expect(made).toHaveLength(3);
  });
});
