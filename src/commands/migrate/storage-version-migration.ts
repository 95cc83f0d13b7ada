/**
 * @module Whole resources written again by kube-controller-manager: one StorageVersionMigration for each, and the wait for it.
 * @see https://kubernetes.io/docs/tasks/manage-kubernetes-objects/storage-version-migration/
 */
import * as v from "valibot";
import type { Clock } from "../../base/clock.ts";
import { parseJson } from "../../base/parse-json.ts";
import type { Discover, ServedResource } from "../../kubernetes/discovery.ts";
import { KubernetesError } from "../../kubernetes/errors.ts";
import { getShaped, type KubeClient } from "../../kubernetes/kube-client.ts";

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

/** The first that is true decides. */
const STATE_OF = [
  ["Succeeded", "succeeded"],
  ["Failed", "failed"],
  ["Running", "running"],
] as const;

/** `gone`: it was deleted. */
export const MIGRATION_STATES = ["pending", "running", "succeeded", "failed", "gone"] as const;

type MigrationState = (typeof MIGRATION_STATES)[number];

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
      const isTrue = (type: string): boolean =>
        conditions.some((condition) => condition.type === type && condition.status === "True");
      const [, state = "pending"] = STATE_OF.find(([type]) => isTrue(type)) ?? [];
      return state;
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

export interface RequestedMigration {
  readonly resource: string;
  /** Of the StorageVersionMigration object. */
  readonly name: string;
  readonly state: MigrationState;
}

interface ClusterRewriteOptions {
  readonly migrations: Awaited<ReturnType<typeof storageVersionMigrations>>;
  readonly discover: Discover;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** From the last request on; 0 only asks. */
  readonly waitMs: number;
  readonly onProgress: (ended: number, total: number) => void;
}

const EVERY_MS = 2000;
const UNDER_WAY: ReadonlySet<MigrationState> = new Set(["pending", "running"]);

/** What was asked for and how far it is; a resource that is not served any more is left out. */
export async function rewriteThroughCluster(
  resources: readonly string[],
  { migrations, discover, clock, signal, waitMs, onProgress }: ClusterRewriteOptions,
): Promise<readonly RequestedMigration[]> {
  let requested: RequestedMigration[] = [];
  for (const resource of resources) {
    const served = await discover(resource);
    if (served !== undefined) {
      requested.push({ resource, name: await migrations.request(served), state: "pending" });
    }
  }
  const endMs = clock.monotonicMs() + waitMs;
  for (;;) {
    const underWay = requested.filter(({ state }) => UNDER_WAY.has(state)).length;
    const leftMs = endMs - clock.monotonicMs();
    onProgress(requested.length - underWay, requested.length);
    if (underWay === 0 || leftMs <= 0) {
      return requested;
    }
    await clock.sleep(Math.min(EVERY_MS, leftMs), signal);
    requested = await Promise.all(
      requested.map(async ({ resource, name, state }) => ({
        resource,
        name,
        state: UNDER_WAY.has(state) ? await migrations.stateOf(name) : state,
      })),
    );
  }
}
