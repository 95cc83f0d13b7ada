/**
 * How kube-apiserver is reached and with whose credential, as a kubeconfig says it.
 *
 * @module Decodes the file: one context, its cluster, its user. What would weaken the connection (no verification, plain
 * HTTP, a proxy) or is out of use (passwords, auth providers) is refused by name. Files that it names are read when a
 * credential is made, in credential.ts.
 * @see https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
 */
import * as v from "valibot";
import { parse } from "yaml";
import { migrateError } from "./errors.ts";

export const MAX_KUBECONFIG_BYTES = 1024 * 1024;

const TEXT = v.pipe(v.string(), v.maxLength(4096));
const DATA = v.pipe(v.string(), v.maxLength(262_144));

const CLUSTER = v.object({
  server: TEXT,
  "certificate-authority": v.optional(TEXT),
  "certificate-authority-data": v.optional(DATA),
  "tls-server-name": v.optional(TEXT),
  "insecure-skip-tls-verify": v.optional(v.boolean(), false),
  "proxy-url": v.optional(TEXT),
});

const EXEC = v.object({
  apiVersion: v.picklist(["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"]),
  command: v.pipe(TEXT, v.minLength(1)),
  args: v.optional(v.nullable(v.array(TEXT)), []),
  env: v.optional(v.nullable(v.array(v.object({ name: TEXT, value: v.string() }))), []),
  provideClusterInfo: v.optional(v.boolean(), false),
});

const USER = v.object({
  "client-certificate": v.optional(TEXT),
  "client-certificate-data": v.optional(DATA),
  "client-key": v.optional(TEXT),
  "client-key-data": v.optional(DATA),
  token: v.optional(DATA),
  tokenFile: v.optional(TEXT),
  exec: v.optional(v.nullable(EXEC)),
  username: v.optional(TEXT),
  "auth-provider": v.optional(v.unknown()),
});

const KUBECONFIG = v.object({
  apiVersion: v.optional(v.literal("v1")),
  kind: v.optional(v.literal("Config")),
  "current-context": v.optional(TEXT, ""),
  contexts: v.array(v.object({ name: TEXT, context: v.object({ cluster: TEXT, user: TEXT }) })),
  clusters: v.array(v.object({ name: TEXT, cluster: CLUSTER })),
  users: v.array(v.object({ name: TEXT, user: USER })),
});

/** A text in the file itself, base64 there, or the path of a file beside it. */
export type Material =
  | { readonly kind: "inline"; readonly text: string }
  | { readonly kind: "file"; readonly path: string };

export type ExecPlugin = v.InferOutput<typeof EXEC>;

export type KubeUser =
  | { readonly kind: "certificate"; readonly certificate: Material; readonly key: Material }
  | { readonly kind: "token"; readonly token: Material }
  | { readonly kind: "exec"; readonly plugin: ExecPlugin };

export interface KubeAccess {
  /** `https://host:port`, without a slash at the end. */
  readonly server: string;
  /** The name that every API server's certificate must hold. */
  readonly serverName: string;
  readonly ca: Material;
  readonly user: KubeUser;
}

/**
 * The context named, or the current one. `file` is for messages.
 * Throws MigrateError `kubeconfig_invalid`.
 */
export function decodeKubeconfig(bytes: Uint8Array, file: string, wanted: string | undefined): KubeAccess {
  const fail = (problem: string, advice: string): Error =>
    migrateError("kubeconfig_invalid", `${file}: ${problem}`, advice);
  const result = v.safeParse(KUBECONFIG, bytes.length > MAX_KUBECONFIG_BYTES ? undefined : parseYaml(bytes));
  if (!result.success) {
    const path = v.getDotPath(result.issues[0]);
    throw fail(
      `this is not a kubeconfig${path === null ? "" : `: ${path} is wrong`}`,
      "check it with `kubectl config view`",
    );
  }
  const { contexts, clusters, users } = result.output;
  const contextName = wanted ?? result.output["current-context"];
  const context = contexts.find(({ name }) => name === contextName)?.context;
  const cluster = clusters.find(({ name }) => name === context?.cluster)?.cluster;
  const user = users.find(({ name }) => name === context?.user)?.user;
  if (cluster === undefined || user === undefined) {
    throw fail(
      "the context, or its cluster or user, is not in it",
      "name one of `kubectl config get-contexts` with --kube-context",
    );
  }
  if (cluster["insecure-skip-tls-verify"]) {
    throw fail(
      "it turns verification of the API server off",
      "name the cluster's CA in certificate-authority instead",
    );
  }
  if (cluster["proxy-url"] !== undefined) {
    throw fail(
      "it asks for a proxy, and API servers are reached directly here",
      "run this where they can be reached, without proxy-url",
    );
  }
  const url = URL.canParse(cluster.server) ? new URL(cluster.server) : undefined;
  if (url?.protocol !== "https:" || url.pathname !== "/") {
    throw fail("the server is not of the form https://host:port", "correct the cluster's server");
  }
  const ca = material(cluster["certificate-authority-data"], cluster["certificate-authority"]);
  if (ca === undefined) {
    throw fail(
      "it names no CA for the API server",
      "set certificate-authority or certificate-authority-data",
    );
  }
  return {
    server: url.origin,
    serverName: cluster["tls-server-name"] ?? url.hostname.replace(/^\[|\]$/g, ""),
    ca,
    user: userOf(user, fail),
  };
}

function userOf(
  user: v.InferOutput<typeof USER>,
  fail: (problem: string, advice: string) => Error,
): KubeUser {
  if (user.username !== undefined || user["auth-provider"] !== undefined) {
    throw fail(
      "its user has a password or an auth provider, which kube-apiserver takes no more",
      "use a client certificate, a token or an exec plugin",
    );
  }
  if (user.exec !== undefined && user.exec !== null) {
    return { kind: "exec", plugin: user.exec };
  }
  const certificate = material(user["client-certificate-data"], user["client-certificate"]);
  const key = material(user["client-key-data"], user["client-key"]);
  if (certificate !== undefined && key !== undefined) {
    return { kind: "certificate", certificate, key };
  }
  if (user.tokenFile !== undefined) {
    return { kind: "token", token: { kind: "file", path: user.tokenFile } };
  }
  if (user.token !== undefined) {
    return { kind: "token", token: { kind: "inline", text: user.token } };
  }
  throw fail(
    "its user has no credential",
    "give it a client certificate with key, a token or an exec plugin",
  );
}

/** As kubectl does it, data wins over a file. */
function material(data: string | undefined, path: string | undefined): Material | undefined {
  if (data !== undefined && data !== "") {
    return { kind: "inline", text: Buffer.from(data, "base64").toString("utf8") };
  }
  return path === undefined || path === "" ? undefined : { kind: "file", path };
}

function parseYaml(bytes: Uint8Array): unknown {
  try {
    // No aliases: a few lines of them can stand for gigabytes. No warnings: they quote the file, which holds secrets.
    return parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes), {
      maxAliasCount: 0,
      logLevel: "error",
    });
  } catch {
    return undefined;
  }
}
