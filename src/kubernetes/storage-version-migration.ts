/**
 * @module One StorageVersionMigration for each resource, and its progress: kube-controller-manager rewrites the objects.
 * @see https://kubernetes.io/docs/tasks/manage-kubernetes-objects/storage-version-migration/
 */
import * as v from "valibot";
import { parseJson } from "../base/parse-json.ts";
import type { ServedResource } from "./discovery.ts";
import { KubernetesError } from "./errors.ts";
import { getShaped, type KubeClient } from "./kube-client.ts";

const GROUP_PATH = "/apis/storagemigration.k8s.io";
const STABLE = "storagemigration.k8s.io/v1";
const VERSION = v.object({
  groupVersion: v.pipe(v.string(), v.regex(/^[a-z0-9.]{1,100}\/v[a-z0-9]{1,20}$/)),
});
const GROUP = v.object({ preferredVersion: VERSION, versions: v.optional(v.array(VERSION), []) });
const CREATED = v.object({
  metadata: v.object({ name: v.pipe(v.string(), v.regex(/^[a-z0-9.-]{1,253}$/)) }),
});
const PROGRESS = v.object({
  status: v.optional(
    v.object({
      conditions: v.optional(v.nullable(v.array(v.object({ type: v.string(), status: v.string() }))), []),
    }),
  ),
});

/** `gone`: it was deleted. */
export const MIGRATION_STATES = ["pending", "running", "succeeded", "failed", "gone"] as const;

export type MigrationState = (typeof MIGRATION_STATES)[number];

export type StorageVersionMigrations = Awaited<ReturnType<typeof storageVersionMigrations>>;

/** @throws KubernetesError `migration_not_offered` */
export async function storageVersionMigrations(client: KubeClient, signal: AbortSignal) {
  const groupVersion = await offeredVersion(client, signal);
  const path = `/apis/${groupVersion}/storageversionmigrations`;
  return {
    /** Creates one for a resource and returns its name. @throws KubernetesError `kube_reply_invalid` when it is not accepted. */
    request: async (resource: ServedResource): Promise<string> => {
      const body = JSON.stringify({
        apiVersion: groupVersion,
        kind: "StorageVersionMigration",
        metadata: { generateName: "bao-kms-provider-" },
        spec: { resource: targetOf(resource, groupVersion) },
      });
      const reply = await client.call({ method: "POST", path, accept: "application/json", body, signal });
      const parsed = v.safeParse(CREATED, reply.status === 201 ? parseJson(reply.body) : undefined);
      if (!parsed.success) {
        throw invalidReply(
          `did not accept a StorageVersionMigration of ${resource.plural} (${reply.status})`,
        );
      }
      return parsed.output.metadata.name;
    },
    stateOf: async (name: string): Promise<MigrationState> => {
      const { status, value } = await getShaped(client, PROGRESS, { path: `${path}/${name}`, signal });
      if (status === 404) {
        return "gone";
      }
      if (value === undefined) {
        throw invalidReply(`does not tell how far the StorageVersionMigration ${name} is (${status})`);
      }
      const conditions = value.status?.conditions ?? [];
      const has = (type: string): boolean =>
        conditions.some((condition) => condition.type === type && condition.status === "True");
      return has("Succeeded")
        ? "succeeded"
        : has("Failed")
          ? "failed"
          : has("Running")
            ? "running"
            : "pending";
    },
  };
}

async function offeredVersion(client: KubeClient, signal: AbortSignal): Promise<string> {
  const { value } = await getShaped(client, GROUP, { path: GROUP_PATH, signal });
  if (value === undefined) {
    throw new KubernetesError(
      "migration_not_offered",
      "this cluster does not offer StorageVersionMigration",
      "leave --storage-version-migration out: migrate then rewrites the objects itself",
    );
  }
  const { preferredVersion, versions } = value;
  return versions.some(({ groupVersion }) => groupVersion === STABLE)
    ? STABLE
    : preferredVersion.groupVersion;
}

function targetOf({ root, plural }: ServedResource, groupVersion: string): Readonly<Record<string, string>> {
  // `/api/v1` or `/apis/<group>/<version>`
  const [, , group = "", version = ""] = root === "/api/v1" ? ["", "", "", "v1"] : root.split("/");
  // The first release of the API wanted the version too.
  return groupVersion.endsWith("/v1alpha1")
    ? { group, version, resource: plural }
    : { group, resource: plural };
}

function invalidReply(what: string): Error {
  return new KubernetesError(
    "kube_reply_invalid",
    `kube-apiserver ${what}`,
    "leave --storage-version-migration out: migrate then rewrites the objects itself",
  );
}
