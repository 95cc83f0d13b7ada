/**
 * @module One context of a kubeconfig. What would weaken the connection, or is out of use, is refused by name.
 * @see https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
 */
import * as v from "valibot";
import { decodeYaml } from "../config/decode-yaml.ts";
import { KubernetesError } from "./errors.ts";

export const MAX_KUBECONFIG_BYTES = 1024 * 1024;

/** client-go takes an empty text as none. */
export const optionalText = (maxLength: number) =>
  v.pipe(
    v.nullish(v.pipe(v.string(), v.maxLength(maxLength))),
    v.transform((text) => (text === "" || text === null ? undefined : text)),
  );
const TEXT = optionalText(4096);
const DATA = optionalText(262_144);
const WORD = v.pipe(v.string(), v.minLength(1), v.maxLength(4096));

const CLUSTER = v.object({
  server: WORD,
  "certificate-authority": TEXT,
  "certificate-authority-data": DATA,
  "tls-server-name": TEXT,
  "insecure-skip-tls-verify": v.nullish(v.boolean(), false),
  "proxy-url": TEXT,
  extensions: v.nullish(v.array(v.object({ name: v.string(), extension: v.optional(v.unknown()) })), []),
});

const EXEC = v.object({
  apiVersion: v.picklist(["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"]),
  command: WORD,
  args: v.nullish(v.array(v.pipe(v.string(), v.maxLength(4096))), []),
  env: v.nullish(v.array(v.object({ name: WORD, value: v.string() })), []),
  provideClusterInfo: v.nullish(v.boolean(), false),
  interactiveMode: v.nullish(v.picklist(["Never", "IfAvailable", "Always"]), "IfAvailable"),
  installHint: TEXT,
});

const USER = v.nullish(
  v.object({
    "client-certificate": TEXT,
    "client-certificate-data": DATA,
    "client-key": TEXT,
    "client-key-data": DATA,
    token: DATA,
    tokenFile: TEXT,
    exec: v.nullish(EXEC),
    username: TEXT,
    "auth-provider": v.nullish(v.unknown()),
  }),
  {},
);

/** What is not the context in use may hold anything. */
const NAMED = v.nullish(v.array(v.looseObject({ name: v.string() })), []);
const KUBECONFIG = v.object({
  apiVersion: v.nullish(v.picklist(["v1", ""])),
  kind: v.nullish(v.picklist(["Config", ""])),
  "current-context": TEXT,
  contexts: NAMED,
  clusters: NAMED,
  users: NAMED,
});
const CONTEXT = v.object({ cluster: TEXT, user: TEXT });
/** Where client-go looks for a cluster's configuration of an exec plugin. */
const EXEC_EXTENSION = "client.authentication.k8s.io/exec";

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
  /** `tls-server-name` as the file has it. */
  readonly statedServerName: string | undefined;
  /** The cluster's extension for exec plugins. */
  readonly execConfig: unknown;
  /** The name that every API server's certificate must hold. */
  readonly serverName: string;
  readonly ca: Material;
  readonly user: KubeUser;
}

/**
 * The context named, or the current one. `file` is for messages.
 * Throws KubernetesError `kubeconfig_invalid`.
 */
export function decodeKubeconfig(bytes: Uint8Array, file: string, wanted: string | undefined): KubeAccess {
  const fail: Fail = (problem, advice) =>
    new KubernetesError("kubeconfig_invalid", `${file}: ${problem}`, advice);
  const tree = decodeYaml(bytes, MAX_KUBECONFIG_BYTES);
  if (!tree.ok) {
    throw fail(tree.problem, tree.fix);
  }
  const { contexts, clusters, users, ...top } = partOf(KUBECONFIG, tree.value, "the file", fail);
  const contextName = wanted ?? top["current-context"];
  if (contextName === undefined) {
    throw fail("it has no current-context", "name one of `kubectl config get-contexts` with --kube-context");
  }
  const context = entryOf(CONTEXT, "context", contexts, contextName, fail);
  const cluster = entryOf(CLUSTER, "cluster", clusters, context.cluster, fail);
  const user = entryOf(USER, "user", users, context.user, fail);
  if (cluster["insecure-skip-tls-verify"]) {
    throw fail(
      "it disables verification of the API server",
      "set certificate-authority to the cluster's CA instead",
    );
  }
  if (cluster["proxy-url"] !== undefined) {
    throw fail(
      "it sets a proxy, but migrate connects to API servers directly",
      "run this where the API servers are reachable, without proxy-url",
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
    statedServerName: cluster["tls-server-name"],
    execConfig: (cluster.extensions ?? []).find(({ name }) => name === EXEC_EXTENSION)?.extension,
    serverName: cluster["tls-server-name"] ?? url.hostname.replace(/^\[|\]$/g, ""),
    ca,
    user: userOf(user, fail),
  };
}

type Fail = (problem: string, advice: string) => Error;

/** What the one entry of that name has. client-go refuses a name that stands twice. */
function entryOf<const Schema extends v.GenericSchema>(
  schema: Schema,
  what: "context" | "cluster" | "user",
  entries: v.InferOutput<typeof NAMED>,
  name: string | undefined,
  fail: Fail,
): v.InferOutput<Schema> {
  const [entry, second] = (entries ?? []).filter((each) => each.name === name);
  if (entry === undefined || second !== undefined) {
    throw fail(
      name === undefined
        ? `the context in use names none of ${what}s`
        : `${what}s has ${second === undefined ? "no entry" : "two entries"} named ${JSON.stringify(name)}`,
      "compare it with `kubectl config view`, or name another context with --kube-context",
    );
  }
  return partOf(schema, entry[what], what, fail);
}

/** @throws what `fail` makes, with the path below `what` and no value. */
function partOf<const Schema extends v.GenericSchema>(
  schema: Schema,
  value: unknown,
  what: string,
  fail: Fail,
): v.InferOutput<Schema> {
  const result = v.safeParse(schema, value);
  if (result.success) {
    return result.output;
  }
  const path = v.getDotPath(result.issues[0]);
  throw fail(
    `${what}${path === null ? "" : `: ${path}`} is missing or of the wrong kind`,
    "check it with `kubectl config view`",
  );
}

function userOf(user: v.InferOutput<typeof USER>, fail: Fail): KubeUser {
  if (user.username !== undefined || (user["auth-provider"] ?? undefined) !== undefined) {
    throw fail(
      "its user has a password or an auth provider, which kube-apiserver does not accept",
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
  if (data !== undefined) {
    return { kind: "inline", text: Buffer.from(data, "base64").toString("utf8") };
  }
  return path === undefined ? undefined : { kind: "file", path };
}
