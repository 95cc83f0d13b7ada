/**
 * @module The credential of a kubeconfig's user: read from its files, or printed by its exec plugin.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
 */
import { spawn } from "node:child_process";
import { dirname, resolve } from "node:path";
import * as v from "valibot";
import { withDeadline } from "../base/deadline.ts";
import { errnoOf } from "../base/errno.ts";
import { parseJson } from "../base/parse-json.ts";
import { readSafeFile } from "../base/safe-file.ts";
import { Secret } from "../base/secret.ts";
import { decodeYaml } from "../config/decode-yaml.ts";
import { KubernetesError } from "./errors.ts";
import { type ExecPlugin, type KubeAccess, type Material, optionalText } from "./kubeconfig.ts";

const MAX_MATERIAL_BYTES = 262_144;
const MAX_PLUGIN_OUTPUT = 262_144;
const PLUGIN_TIMEOUT_MS = 60_000;

export interface KubeCredential {
  readonly certificate?: { readonly chainPem: string; readonly keyPem: Secret };
  readonly token?: Secret;
}

/** One credential for all clients of a run. */
export interface CredentialHolder {
  readonly get: () => Promise<KubeCredential>;
  /** A credential made after `refused` was; clients that are refused together share it. */
  readonly renew: (refused: KubeCredential) => Promise<KubeCredential>;
}

export function credentialHolder(make: () => Promise<KubeCredential>): CredentialHolder {
  let current: Promise<KubeCredential> | undefined;
  const get = (): Promise<KubeCredential> => (current ??= make());
  return {
    get,
    renew: async (refused) => {
      const held = current;
      // A second caller finds the credential already replaced.
      if ((await held?.catch(() => refused)) === refused && current === held) {
        current = undefined;
      }
      return get();
    },
  };
}

interface CredentialSource {
  /** Where the kubeconfig lies: its relative paths start there. */
  readonly kubeconfigPath: string;
  readonly euid: number;
  /** The environment that an exec plugin starts from: the caller's, as it was before ours was made safe. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Whether stdin is a terminal, so that a plugin may ask a person. */
  readonly hasTerminal: boolean;
}

/** Throws KubernetesError `kubeconfig_invalid` or `exec_plugin_failed`, or SafeFileError. */
export async function resolveCredential(
  access: KubeAccess,
  source: CredentialSource,
  signal: AbortSignal,
): Promise<KubeCredential> {
  const { user } = access;
  switch (user.kind) {
    case "certificate":
      return {
        certificate: {
          chainPem: await textOf(user.certificate, "the client certificate", false, source),
          keyPem: new Secret(await textOf(user.key, "the client key", true, source)),
        },
      };
    case "token":
      return { token: new Secret((await textOf(user.token, "the token", true, source)).trim()) };
    case "exec":
      return runPlugin(user.plugin, access, source, signal);
  }
}

/** The text of a certificate, key or token. */
export async function textOf(
  material: Material,
  what: string,
  secret: boolean,
  { kubeconfigPath, euid }: Pick<CredentialSource, "kubeconfigPath" | "euid">,
): Promise<string> {
  if (material.kind === "inline") {
    return material.text;
  }
  const { bytes } = await readSafeFile(resolve(dirname(kubeconfigPath), material.path), {
    what,
    field: "--kubeconfig",
    maxBytes: MAX_MATERIAL_BYTES,
    secret,
    serviceUid: euid,
    errorClass: "config_invalid",
  });
  return Buffer.from(bytes).toString("utf8");
}

const OPTIONAL = optionalText(MAX_PLUGIN_OUTPUT);
const EXEC_CREDENTIAL = v.object({
  apiVersion: v.string(),
  kind: v.literal("ExecCredential"),
  status: v.object({
    // RFC 6750: what a bearer token may hold; a line break would break the header.
    token: v.pipe(
      OPTIONAL,
      v.check((text) => text === undefined || /^[\x21-\x7e]+$/.test(text)),
    ),
    clientCertificateData: OPTIONAL,
    clientKeyData: OPTIONAL,
  }),
});

/** Whether the plugin may ask the person at the terminal. @see interactiveMode of client-go's ExecConfig */
function isInteractive({ command, interactiveMode }: ExecPlugin, hasTerminal: boolean): boolean {
  if (interactiveMode === "Always" && !hasTerminal) {
    throw pluginFailed(command, "needs a terminal (interactiveMode: Always), and stdin is none");
  }
  return interactiveMode !== "Never" && hasTerminal;
}

async function clusterInfo(access: KubeAccess, source: CredentialSource): Promise<object> {
  const { server, statedServerName, ca, execConfig } = access;
  return {
    server,
    ...(statedServerName === undefined ? {} : { "tls-server-name": statedServerName }),
    "certificate-authority-data": Buffer.from(await textOf(ca, "the cluster's CA", false, source)).toString(
      "base64",
    ),
    ...(execConfig === undefined ? {} : { config: execConfig }),
  };
}

async function runPlugin(
  plugin: ExecPlugin,
  access: KubeAccess,
  source: CredentialSource,
  signal: AbortSignal,
): Promise<KubeCredential> {
  const { kubeconfigPath, environment } = source;
  const interactive = isInteractive(plugin, source.hasTerminal);
  const info = {
    apiVersion: plugin.apiVersion,
    kind: "ExecCredential",
    spec: {
      interactive,
      ...(plugin.provideClusterInfo ? { cluster: await clusterInfo(access, source) } : {}),
    },
  };
  const env = Object.fromEntries((plugin.env ?? []).map(({ name, value }) => [name, value]));
  // As client-go does it: a command with a slash is relative to the kubeconfig, any other is looked up in PATH.
  const command = plugin.command.includes("/")
    ? resolve(dirname(kubeconfigPath), plugin.command)
    : plugin.command;
  const output = await outputOf(
    command,
    plugin,
    { ...environment, ...env, KUBERNETES_EXEC_INFO: JSON.stringify(info) },
    interactive ? "inherit" : "ignore",
    signal,
  );
  return credentialIn(output, plugin, command);
}

/** What the plugin printed: JSON or, as client-go takes it too, YAML. */
function credentialIn(output: Buffer, plugin: ExecPlugin, command: string): KubeCredential {
  const json = parseJson(output.toString("utf8"));
  const yaml = json === undefined ? decodeYaml(output, MAX_PLUGIN_OUTPUT) : undefined;
  const parsed = v.safeParse(EXEC_CREDENTIAL, yaml?.ok === true ? yaml.value : json);
  if (!parsed.success) {
    throw pluginFailed(
      command,
      "printed no ExecCredential, or something beside it, or a token with a line break",
    );
  }
  const { apiVersion, status } = parsed.output;
  if (apiVersion !== plugin.apiVersion) {
    throw pluginFailed(command, `printed another version of ExecCredential than ${plugin.apiVersion}`);
  }
  const { token, clientCertificateData: chainPem, clientKeyData: key } = status;
  const hasCertificate = chainPem !== undefined && key !== undefined;
  if (!hasCertificate && chainPem !== key) {
    throw pluginFailed(command, "printed a certificate without its key, or a key without its certificate");
  }
  if (!hasCertificate && token === undefined) {
    throw pluginFailed(command, "printed neither a token nor a certificate");
  }
  return {
    ...(hasCertificate ? { certificate: { chainPem, keyPem: new Secret(key) } } : {}),
    ...(token === undefined ? {} : { token: new Secret(token) }),
  };
}

/** What the plugin prints; its stderr goes to ours, since it may ask a person to log in elsewhere first. */
async function outputOf(
  command: string,
  { args, installHint }: ExecPlugin,
  env: Readonly<Record<string, string | undefined>>,
  stdin: "inherit" | "ignore",
  signal: AbortSignal,
): Promise<Buffer> {
  using deadline = withDeadline(signal, PLUGIN_TIMEOUT_MS);
  const child = spawn(command, args ?? [], {
    env,
    stdio: [stdin, "pipe", "inherit"],
    signal: deadline.signal,
  });
  const parts: Buffer[] = [];
  let bytes = 0;
  child.stdout.on("data", (part: Buffer) => {
    bytes += part.length;
    parts.push(part);
    if (bytes > MAX_PLUGIN_OUTPUT) {
      child.kill("SIGKILL");
    }
  });
  const code = await new Promise<number | null>((done, failed) => {
    child.once("error", failed);
    child.once("close", done);
  }).catch((cause: unknown) => {
    signal.throwIfAborted();
    if (errnoOf(cause) === "ENOENT") {
      const hint = installHint === undefined ? "" : `; its kubeconfig says: ${installHint}`;
      throw pluginFailed(command, `is not installed${hint}`, cause);
    }
    throw pluginFailed(command, "could not be run, or took too long", cause);
  });
  // It may have ended with code 0 before it was killed.
  if (bytes > MAX_PLUGIN_OUTPUT) {
    throw pluginFailed(command, `printed more than ${MAX_PLUGIN_OUTPUT} bytes`);
  }
  if (code !== 0) {
    throw pluginFailed(command, `ended with code ${code ?? "none"}`);
  }
  return Buffer.concat(parts);
}

function pluginFailed(command: string, problem: string, cause?: unknown): Error {
  return new KubernetesError(
    "exec_plugin_failed",
    `the exec plugin ${command} ${problem}`,
    "run `kubectl get namespaces` with the same kubeconfig and read its error",
    cause,
  );
}
