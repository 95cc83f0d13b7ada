/** @module Whole resources written again by the cluster, and the wait for it. */
import type { Clock } from "../../base/clock.ts";
import type { Discover } from "../../kubernetes/discovery.ts";
import type { MigrationState, StorageVersionMigrations } from "../../kubernetes/storage-version-migration.ts";

export interface RequestedMigration {
  readonly resource: string;
  /** Of the StorageVersionMigration object. */
  readonly name: string;
  readonly state: MigrationState;
}

interface ClusterRewriteOptions {
  readonly migrations: StorageVersionMigrations;
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
