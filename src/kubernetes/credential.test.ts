import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { resolveCredential } from "./credential.ts";
import { MigrateError } from "./errors.ts";
import type { KubeAccess, KubeUser } from "./kubeconfig.ts";

let dir = "";
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "credential-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const signal = new AbortController().signal;

function resolved(user: KubeUser) {
  const access: KubeAccess = {
    server: "https://10.0.0.1:6443",
    serverName: "10.0.0.1",
    ca: { kind: "inline", text: "CA" },
    user,
  };
  const euid = process.geteuid?.() ?? 0;
  return resolveCredential(
    access,
    { kubeconfigPath: join(dir, "config"), euid, environment: { PATH: process.env["PATH"] } },
    signal,
  );
}

function plugin(script: string): KubeUser {
  writeFileSync(join(dir, "plugin"), `#!/bin/sh\n${script}\n`, { mode: 0o700 });
  return {
    kind: "exec",
    plugin: {
      apiVersion: "client.authentication.k8s.io/v1",
      command: "./plugin",
      args: ["one"],
      env: [{ name: "WORD", value: "word" }],
      provideClusterInfo: true,
    },
  };
}

test("a token file beside the kubeconfig, without the line break at its end", async () => {
  writeFileSync(join(dir, "token"), "secret-token\n", { mode: 0o600 });
  const { token } = await resolved({ kind: "token", token: { kind: "file", path: "token" } });
  expect(token?.expose()).toBe("secret-token");
});

test("a key that others may read is refused", async () => {
  writeFileSync(join(dir, "open.key"), "K", { mode: 0o644 });
  const user: KubeUser = {
    kind: "certificate",
    certificate: { kind: "inline", text: "C" },
    key: { kind: "file", path: "open.key" },
  };
  expect(await resolved(user).catch((error: unknown) => error)).toMatchObject({
    code: "file_readable_by_others",
  });
});

describe("an exec plugin", () => {
  test("is given its arguments, its environment and the cluster, and prints a token", async () => {
    const { token } = await resolved(
      plugin(
        `case "$KUBERNETES_EXEC_INFO" in *10.0.0.1*) ;; *) exit 9;; esac
printf '{"kind":"ExecCredential","status":{"token":"%s-%s"}}' "$1" "$WORD"`,
      ),
    );
    expect(token?.expose()).toBe("one-word");
  });

  test("or a certificate", async () => {
    const { certificate } = await resolved(
      plugin(`echo '{"kind":"ExecCredential","status":{"clientCertificateData":"C","clientKeyData":"K"}}'`),
    );
    expect(certificate?.chainPem).toBe("C");
    expect(certificate?.keyPem.expose()).toBe("K");
  });

  test.each([
    ["that fails", "exit 3"],
    ["that prints nothing", "true"],
    ["that prints something else", "echo '{}'"],
    ["that prints an empty token", `echo '{"kind":"ExecCredential","status":{"token":""}}'`],
    [
      "that prints without end",
      "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done",
    ],
  ])("%s is refused", async (_, script) => {
    expect(await resolved(plugin(script)).catch((error: unknown) => error)).toBeInstanceOf(MigrateError);
  });

  test("that is not there is refused", async () => {
    const user = plugin("true");
    rmSync(join(dir, "plugin"));
    expect(await resolved(user).catch((error: unknown) => error)).toMatchObject({
      code: "exec_plugin_failed",
    });
  });
});
