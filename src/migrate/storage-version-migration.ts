/**
 * Asking the cluster itself to rewrite whole resources.
 *
 * @module Creates one StorageVersionMigration for each resource, where kube-apiserver offers that API. Who carries it out is
 * kube-controller-manager; whether it did is for the next audit to say.
 * @see https://kubernetes.io/docs/tasks/manage-kubernetes-objects/storage-version-migration/
 */
import * as v from "valibot";
import { parseJson } from "../base/parse-json.ts";
import type { ServedResource } from "./discovery.ts";
import { migrateError } from "./errors.ts";
import type { KubeClient } from "./kube-client.ts";

const GROUP_PATH = "/apis/storagemigration.k8s.io";
const GROUP = v.object({
  preferredVersion: v.object({ groupVersion: v.pipe(v.string(), v.maxLength(200)) }),
});
const CREATED = v.object({ metadata: v.object({ name: v.pipe(v.string(), v.maxLength(253)) }) });

export interface RequestedMigration {
  readonly resource: string;
  /** Of the StorageVersionMigration object. */
  readonly name: string;
}

/** Throws MigrateError `migration_not_offered`, or `kube_reply_invalid` when a request is not accepted. */
export async function requestMigrations(
  client: KubeClient,
  resources: readonly string[],
  discover: (resource: string) => Promise<ServedResource | undefined>,
  signal: AbortSignal,
): Promise<readonly RequestedMigration[]> {
  const { groupVersion } = await offeredVersion(client, signal);
  const requested: RequestedMigration[] = [];
  for (const resource of resources) {
    const served = await discover(resource);
    if (served !== undefined) {
      requested.push({ resource, name: await request(client, groupVersion, served, signal) });
    }
  }
  return requested;
}

async function offeredVersion(
  client: KubeClient,
  signal: AbortSignal,
): Promise<{ readonly groupVersion: string }> {
  const { status, body } = await client.call({
    method: "GET",
    path: GROUP_PATH,
    accept: "application/json",
    signal,
  });
  const parsed = v.safeParse(GROUP, status === 200 ? parseJson(body) : undefined);
  if (!parsed.success) {
    throw migrateError(
      "migration_not_offered",
      "this cluster does not offer StorageVersionMigration",
      "leave --storage-version-migration out: migrate then rewrites the objects itself",
    );
  }
  return parsed.output.preferredVersion;
}

async function request(
  client: KubeClient,
  groupVersion: string,
  { root, plural }: ServedResource,
  signal: AbortSignal,
): Promise<string> {
  // `/api/v1` or `/apis/<group>/<version>`
  const [, , group = "", version = ""] = root === "/api/v1" ? ["", "", "", "v1"] : root.split("/");
  // The first release of the API wanted the version too.
  const target = groupVersion.endsWith("/v1alpha1")
    ? { group, version, resource: plural }
    : { group, resource: plural };
  const { status, body } = await client.call({
    method: "POST",
    path: `/apis/${groupVersion}/storageversionmigrations`,
    accept: "application/json",
    body: JSON.stringify({
      apiVersion: groupVersion,
      kind: "StorageVersionMigration",
      metadata: { generateName: "bao-kms-provider-" },
      spec: { resource: target },
    }),
    signal,
  });
  const parsed = v.safeParse(CREATED, status === 201 ? parseJson(body) : undefined);
  if (!parsed.success) {
    throw migrateError(
      "kube_reply_invalid",
      `kube-apiserver did not accept a StorageVersionMigration of ${plural} (${status})`,
      "leave --storage-version-migration out: migrate then rewrites the objects itself",
    );
  }
  return parsed.output.metadata.name;
}
