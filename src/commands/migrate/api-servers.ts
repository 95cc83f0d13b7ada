/** @module Finds every API server and proves it: one object is rewritten through it, and etcd then names the key. */
import * as v from "valibot";
import { objectPath, type ServedResource } from "../../kubernetes/discovery.ts";
import { migrateError } from "../../kubernetes/errors.ts";
import { getShaped, type KubeClient } from "../../kubernetes/kube-client.ts";
import { rewrite } from "./rewrite.ts";
import type { StaleObject } from "./rewrite-all.ts";

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

/** `other`: in plaintext, or under anything that is not ours. */
export type StoredUnder =
  | { readonly kind: "ours"; readonly keyId: string }
  | { readonly kind: "other" }
  | { readonly kind: "gone" };

export interface ProofOptions {
  readonly candidates: readonly StaleObject[];
  readonly discover: (resource: string) => Promise<ServedResource | undefined>;
  /** Under what the object lies in etcd now. */
  readonly storedUnder: (object: StaleObject) => Promise<StoredUnder>;
  /** Whether what a server has written is as it should be from now on. */
  readonly isAsWanted: (stored: StoredUnder) => boolean;
  readonly signal: AbortSignal;
}

/**
 * Rewrites one of the candidates through each server and looks at what was stored.
 * Throws MigrateError `api_server_behind` for a server that writes otherwise than it should.
 */
export async function proveApiServers(clients: readonly KubeClient[], options: ProofOptions): Promise<void> {
  const { candidates, discover, storedUnder, isAsWanted, signal } = options;
  let next = 0;
  for (const client of clients) {
    let isProven = false;
    while (!isProven) {
      const object = candidates[next++];
      if (object === undefined) {
        // Fewer stale objects than servers: nothing is left that an unproven server would have to rewrite.
        return;
      }
      const served = await discover(object.resource);
      const path = served === undefined ? undefined : objectPath(served, object.path);
      const outcome =
        path === undefined ? "refused" : await rewrite(client, path, object.resourceVersion, signal);
      const stored = outcome === "rewritten" ? await storedUnder(object) : { kind: "gone" as const };
      isProven = stored.kind !== "gone" && isAsWanted(stored);
      if (!isProven && stored.kind !== "gone") {
        throw behind(client.address);
      }
    }
  }
}

function behind(address: string): Error {
  return migrateError(
    "api_server_behind",
    `kube-apiserver at ${address} does not write as it should from now on`,
    "wait a few minutes and try again; if it stays so, compare that node's EncryptionConfiguration with the others', and run `bao-kms-provider probe` there and compare key_ids",
  );
}
