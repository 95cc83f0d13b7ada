/**
 * @module A real kube-apiserver over an etcd, encrypting Secrets and ConfigMaps through a KMS socket. Start, cold restart, and
 * a client with an administrator's certificate. No other component of a cluster runs.
 */
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { makeTestCa } from "../fakes/tls/test-ca.ts";
import { type Child, startChild } from "./child.ts";
import { eventually } from "./eventually.ts";
import { freePorts } from "./free-port.ts";

export interface KubeApiServerOptions {
  readonly etcdAddress: string;
  readonly kmsSocketPath: string;
  /** The provider's name in the EncryptionConfiguration. */
  readonly kmsName: string;
  /** The text of an EncryptionConfiguration in place of one that names only the provider. */
  readonly encryptionConfig?: string;
  /** Encrypted besides Secrets and ConfigMaps. */
  readonly alsoEncrypted?: readonly string[];
  readonly extraFlags?: readonly string[];
  /** Providers after the KMS, whose objects stay readable. */
  readonly olderProviders?: readonly unknown[];
}

const START_TIMEOUT_MS = 90_000;

export async function startKubeApiServer(binary: string, options: KubeApiServerOptions) {
  const dir = mkdtempSync(join(tmpdir(), "kube-apiserver-"));
  const path = (name: string): string => join(dir, name);
  const [port = 0] = await freePorts(1);
  const address = `https://127.0.0.1:${port}`;
  const ca = await makeTestCa({ commonName: "cluster test CA" });
  const server = await ca.server();
  const admin = await ca.client({ commonName: "admin", organization: "system:masters" });
  const serviceAccount = generateKeyPairSync("ec", { namedCurve: "P-256" });
  writeFileSync(path("ca.crt"), ca.certPem);
  writeFileSync(path("server.crt"), server.chainPem);
  writeFileSync(path("server.key"), server.keyPem, { mode: 0o600 });
  writeFileSync(path("sa.key"), serviceAccount.privateKey.export({ type: "sec1", format: "pem" }), {
    mode: 0o600,
  });
  writeFileSync(path("sa.pub"), serviceAccount.publicKey.export({ type: "spki", format: "pem" }));
  /** Read at the next start. */
  const replaceEncryptionConfig = (text: string): void =>
    writeFileSync(path("encryption.yaml"), text, { mode: 0o600 });
  replaceEncryptionConfig(options.encryptionConfig ?? defaultEncryption(options));

  let child: Child | undefined;
  const request = async (
    method: string,
    target: string,
    body?: unknown,
    { contentType, timeoutMs }: { readonly contentType?: string; readonly timeoutMs?: number } = {},
  ) => {
    const response = await fetch(`${address}${target}`, {
      method,
      headers: { "content-type": contentType ?? "application/json", accept: "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      tls: { ca: ca.certPem, cert: admin.certPem, key: admin.keyPem, rejectUnauthorized: true },
      signal: AbortSignal.timeout(timeoutMs ?? 30_000),
    });
    const text = await response.text();
    return { status: response.status, text, json: (): unknown => JSON.parse(text) };
  };
  /** Resolves when it serves; `everyMs` is how often it is asked, for those who time it. */
  const start = async (everyMs = 200): Promise<void> => {
    child = startChild(binary, flags(options, path, port), { cwd: dir });
    await eventually(
      "kube-apiserver serves the default namespace",
      async () =>
        (await request("GET", "/livez")).status === 200 &&
        (await request("GET", "/api/v1/namespaces/default")).status === 200,
      {
        timeoutMs: START_TIMEOUT_MS,
        everyMs,
        giveUp: () => (child?.exited() ? `it has exited: ${child.output().slice(-4000)}` : undefined),
      },
    );
  };
  const stop = async (): Promise<void> => {
    await child?.stop(30_000);
  };
  const kill = async (): Promise<void> => {
    await child?.kill();
  };
  const dispose = async (): Promise<void> => {
    await kill();
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    await start();
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    address,
    caPem: ca.certPem,
    /** Certificate and key of a member of system:masters. */
    admin,
    request,
    start,
    stop,
    /** Stopped, and started over the same etcd: all it knows is what is stored, and it asks for Status at once. */
    restart: async () => {
      await stop();
      await start();
    },
    kill,
    replaceEncryptionConfig,
    output: () => child?.output() ?? "",
    dispose,
  };
}

export type KubeApiServer = Awaited<ReturnType<typeof startKubeApiServer>>;

function defaultEncryption(options: KubeApiServerOptions): string {
  const { alsoEncrypted = [], olderProviders = [] } = options;
  return encryptionConfiguration(
    ["secrets", "configmaps", ...alsoEncrypted],
    [kmsProvider(options.kmsSocketPath, options.kmsName), ...olderProviders],
  );
}

/** The entry of a KMS v2 provider. */
export function kmsProvider(socketPath: string, name = "openbao"): unknown {
  return { kms: { apiVersion: "v2", name, endpoint: `unix://${socketPath}`, timeout: "3s" } };
}

export function aescbcProvider(name: string, key: Uint8Array): unknown {
  return { aescbc: { keys: [{ name, secret: Buffer.from(key).toString("base64") }] } };
}

/** The text of an EncryptionConfiguration with these providers, the one that encrypts first. */
export function encryptionConfiguration(resources: readonly string[], providers: readonly unknown[]): string {
  return stringify({
    apiVersion: "apiserver.config.k8s.io/v1",
    kind: "EncryptionConfiguration",
    resources: [{ resources, providers }],
  });
}

function flags(
  { etcdAddress, extraFlags = [] }: KubeApiServerOptions,
  path: (name: string) => string,
  port: number,
): readonly string[] {
  return [
    `--etcd-servers=${etcdAddress}`,
    "--bind-address=127.0.0.1",
    "--advertise-address=127.0.0.1",
    `--secure-port=${port}`,
    `--tls-cert-file=${path("server.crt")}`,
    `--tls-private-key-file=${path("server.key")}`,
    `--client-ca-file=${path("ca.crt")}`,
    `--cert-dir=${path("certs")}`,
    "--authorization-mode=RBAC",
    "--endpoint-reconciler-type=none",
    "--service-cluster-ip-range=10.96.0.0/24",
    "--service-account-issuer=https://kubernetes.default.svc",
    `--service-account-key-file=${path("sa.pub")}`,
    `--service-account-signing-key-file=${path("sa.key")}`,
    `--encryption-provider-config=${path("encryption.yaml")}`,
    "--disable-admission-plugins=ServiceAccount",
    "--shutdown-delay-duration=0s",
    "--shutdown-send-retry-after=false",
    "--v=1",
    ...extraFlags,
  ];
}
