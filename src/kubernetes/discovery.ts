/**
 * @module The path under which kube-apiserver serves a resource, asked from it, so that custom resources need no list.
 * @see https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api
 */
import * as v from "valibot";
import { KubernetesError } from "./errors.ts";
import { getShaped, type KubeClient } from "./kube-client.ts";

export interface ServedResource {
  readonly namespaced: boolean;
  /** `/api/v1` or `/apis/<group>/<version>`. */
  readonly root: string;
  readonly plural: string;
}

const GROUP = v.object({ preferredVersion: v.object({ groupVersion: v.string() }) });
const RESOURCES = v.object({
  resources: v.array(v.object({ name: v.string(), namespaced: v.boolean(), verbs: v.array(v.string()) })),
});

/** `undefined` for what is not served or cannot be patched. */
export type Discover = (resource: string) => Promise<ServedResource | undefined>;

/** Asks for each resource once. */
export function discovery(client: KubeClient, signal: AbortSignal): Discover {
  const known = new Map<string, Promise<ServedResource | undefined>>();
  return (resource) => {
    const found = known.get(resource) ?? discover(client, resource, signal);
    known.set(resource, found);
    return found;
  };
}

/** The object's path; `undefined` when it does not fit the resource's scope. `path` is as in etcd: namespace and name. */
export function objectPath({ namespaced, root, plural }: ServedResource, path: string): string | undefined {
  const parts = path.split("/");
  const [first = "", second = ""] = parts.map(encodeURIComponent);
  if (namespaced) {
    return parts.length === 2 ? `${root}/namespaces/${first}/${plural}/${second}` : undefined;
  }
  return parts.length === 1 ? `${root}/${plural}/${first}` : undefined;
}

async function discover(
  client: KubeClient,
  resource: string,
  signal: AbortSignal,
): Promise<ServedResource | undefined> {
  const dot = resource.indexOf(".");
  const plural = dot === -1 ? resource : resource.slice(0, dot);
  const root = dot === -1 ? "/api/v1" : await groupRoot(client, resource.slice(dot + 1), signal);
  const list = root === undefined ? undefined : await get(client, root, RESOURCES, signal);
  const served = list?.resources.find(({ name, verbs }) => name === plural && verbs.includes("patch"));
  return served === undefined || root === undefined
    ? undefined
    : { namespaced: served.namespaced, root, plural };
}

async function groupRoot(
  client: KubeClient,
  group: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const found = await get(client, `/apis/${encodeURIComponent(group)}`, GROUP, signal);
  return found === undefined ? undefined : `/apis/${found.preferredVersion.groupVersion}`;
}

async function get<T>(
  client: KubeClient,
  path: string,
  shape: v.GenericSchema<unknown, T>,
  signal: AbortSignal,
): Promise<T | undefined> {
  const { status, value } = await getShaped(client, shape, { path, signal });
  if (status === 404) {
    return undefined;
  }
  if (value === undefined) {
    throw new KubernetesError(
      "kube_reply_invalid",
      `${client.address} does not answer ${path} as a kube-apiserver does`,
      "check the server in --kubeconfig",
    );
  }
  return value;
}
