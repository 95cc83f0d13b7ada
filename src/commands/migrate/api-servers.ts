/** @module A client for each API server, reached directly, and its proof: one object is rewritten through it, and etcd then names the key. */
import * as v from "valibot";
import { systemClock } from "../../base/clock.ts";
import type { CommandContext } from "../../cli/command.ts";
import type { Evidence } from "../../etcd/evidence.ts";
import type { StoredValue } from "../../etcd/stored/stored-value.ts";
import { credentialHolder, resolveCredential, textOf } from "../../kubernetes/credential.ts";
import type { Discover } from "../../kubernetes/discovery.ts";
import { KubernetesError } from "../../kubernetes/errors.ts";
import { getShaped, type KubeClient, kubeClient } from "../../kubernetes/kube-client.ts";
import { decodeKubeconfig, MAX_KUBECONFIG_BYTES } from "../../kubernetes/kubeconfig.ts";
import { readInputFile } from "../input-file.ts";
import type { MigrateFlags } from "./command.ts";
import { rewriteObject, type StaleObject } from "./rewrite-objects.ts";

type ApiServers = readonly [KubeClient, ...KubeClient[]];

/** A client for each API server: those named, else those behind the Service `kubernetes`, else the kubeconfig's own. */
export async function openApiServers(
  flags: Pick<MigrateFlags, "kube-context" | "api-server">,
  kubeconfigPath: string,
  before: Evidence,
  { callerEnvironment, signal }: CommandContext,
): Promise<ApiServers> {
  const bytes = await readInputFile(kubeconfigPath, {
    what: "the kubeconfig",
    field: "--kubeconfig",
    maxBytes: MAX_KUBECONFIG_BYTES,
    secret: true,
  });
  const access = decodeKubeconfig(bytes, kubeconfigPath, flags["kube-context"]);
  const source = {
    kubeconfigPath,
    euid: process.geteuid?.() ?? 0,
    environment: callerEnvironment,
    hasTerminal: process.stdin.isTTY,
  };
  const options = {
    serverName: access.serverName,
    caPem: await textOf(access.ca, "the cluster's CA", false, source),
    credentials: credentialHolder(() => resolveCredential(access, source, signal)),
    clock: systemClock,
  };
  const clientOf = (address: string): KubeClient => kubeClient({ ...options, address });
  const entry = clientOf(access.server);
  const named = flags["api-server"];
  const [first, ...others] = named.length > 0 ? named : await apiServerAddresses(entry, signal);
  assertEnough(1 + others.length, before);
  if (first === undefined) {
    return [entry];
  }
  entry.close();
  return [clientOf(first), ...others.map(clientOf)];
}

function assertEnough(reached: number, { audits }: Evidence): void {
  const live = Math.max(...audits.map(({ source }) => (source.kind === "etcd" ? source.apiServers : 0)));
  if (reached < live) {
    throw new KubernetesError(
      "api_servers_missing",
      `${live} API servers hold a Lease, but only ${reached} can be reached directly`,
      "name each of them with --api-server https://host:6443; a Lease of a server that is gone expires within an hour",
    );
  }
}

const SLICES = v.object({
  items: v.array(
    v.object({
      addressType: v.string(),
      endpoints: v.optional(
        v.nullable(
          v.array(v.object({ addresses: v.array(v.pipe(v.string(), v.regex(/^[0-9A-Fa-f:.]+$/))) })),
        ),
        [],
      ),
      ports: v.optional(
        v.nullable(v.array(v.object({ name: v.optional(v.string()), port: v.number() }))),
        [],
      ),
    }),
  ),
});

const SLICES_PATH =
  "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=kubernetes.io/service-name%3Dkubernetes";

/** The addresses behind the Service `kubernetes`; empty when there are none, as with a single server on loopback. */
export async function apiServerAddresses(
  client: KubeClient,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { value } = await getShaped(client, SLICES, { path: SLICES_PATH, signal });
  return (value?.items ?? []).flatMap(({ addressType, endpoints, ports }) => {
    const port = ports?.find(({ name }) => name === "https")?.port ?? 6443;
    return (endpoints ?? [])
      .flatMap(({ addresses }) => addresses)
      .map((address) => `https://${addressType === "IPv6" ? `[${address}]` : address}:${port}`);
  });
}

interface ProofOptions {
  readonly candidates: readonly StaleObject[];
  readonly discover: Discover;
  /** What etcd stores of the object now; `undefined` when it is gone. */
  readonly storedNow: (object: StaleObject) => Promise<StoredValue | undefined>;
  /** Whether what a server has written is as it should be from now on. */
  readonly isReached: (stored: StoredValue) => boolean;
  readonly signal: AbortSignal;
}

/**
 * Rewrites one of the candidates through each server and looks at what was stored.
 * Throws KubernetesError `api_server_behind` for a server that writes otherwise than it should.
 */
export async function proveApiServers(clients: readonly KubeClient[], options: ProofOptions): Promise<void> {
  const { candidates, discover, storedNow, isReached, signal } = options;
  let next = 0;
  for (const client of clients) {
    let isProven = false;
    while (!isProven) {
      const object = candidates[next++];
      if (object === undefined) {
        // Fewer stale objects than servers: nothing is left that an unproven server would have to rewrite.
        return;
      }
      const outcome = await rewriteObject(client, object, discover, signal);
      const stored = outcome === "rewritten" ? await storedNow(object) : undefined;
      isProven = stored !== undefined && isReached(stored);
      if (!isProven && stored !== undefined) {
        throw behind(client.address);
      }
    }
  }
}

function behind(address: string): Error {
  return new KubernetesError(
    "api_server_behind",
    `kube-apiserver at ${address} does not write as it should from now on`,
    "wait a few minutes and try again; if it stays so, compare that node's EncryptionConfiguration with the others', and run `bao-kms-provider probe` there and compare key_ids",
  );
}
