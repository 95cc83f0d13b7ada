/**
 * @module An empty merge patch with the resourceVersion: kube-apiserver writes the object under its current key, unless it changed.
 * @see https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/#ensure-all-secrets-are-encrypted
 */
import * as v from "valibot";
import type { Clock } from "../../base/clock.ts";
import { type Discover, objectPath } from "../../kubernetes/discovery.ts";
import { getShaped, type KubeClient } from "../../kubernetes/kube-client.ts";

export interface StaleObject {
  /** In etcd. */
  readonly key: string;
  readonly resource: string;
  /** Namespace and name, or the name alone. */
  readonly path: string;
  readonly resourceVersion: string;
}

export const REWRITE_OUTCOMES = [
  "rewritten",
  /** Gone since the audit: nothing to do. */
  "deleted",
  /** Changed by others each time it was tried. */
  "contended",
  /** kube-apiserver does not accept the object as it is stored, or an admission webhook refuses it. */
  "refused",
  "not_served",
] as const;
type RewriteOutcome = (typeof REWRITE_OUTCOMES)[number];

/** Only metadata comes back, whatever the resource. */
const METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const FIELD_MANAGER = "bao-kms-provider-migrate";
const MAX_TRIES = 5;

const METADATA = v.object({
  metadata: v.object({ resourceVersion: v.pipe(v.string(), v.regex(/^[0-9]{1,20}$/)) }),
});

/** `resourceVersion` is that of the audit; after a conflict the present one is asked for. Throws KubernetesError. */
export async function rewrite(
  client: KubeClient,
  path: string,
  resourceVersion: string,
  signal: AbortSignal,
): Promise<RewriteOutcome> {
  let current = resourceVersion;
  for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
    const { status } = await client.call({
      method: "PATCH",
      path: `${path}?fieldManager=${FIELD_MANAGER}`,
      accept: METADATA_ONLY,
      body: JSON.stringify({ metadata: { resourceVersion: current } }),
      signal,
    });
    if (status === 200) {
      return "rewritten";
    }
    if (status === 404) {
      return "deleted";
    }
    if (status !== 409) {
      return "refused";
    }
    const newer = await currentVersion(client, path, signal);
    if (newer === undefined) {
      return "deleted";
    }
    current = newer;
  }
  return "contended";
}

/** The object's resourceVersion now; `undefined` when it is gone. */
async function currentVersion(
  client: KubeClient,
  path: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { value } = await getShaped(client, METADATA, { path, signal, accept: METADATA_ONLY });
  return value?.metadata.resourceVersion;
}

/** Where the API server has it now. */
export async function rewriteObject(
  client: KubeClient,
  { resource, path, resourceVersion }: StaleObject,
  discover: Discover,
  signal: AbortSignal,
): Promise<RewriteOutcome> {
  const served = await discover(resource);
  const target = served === undefined ? undefined : objectPath(served, path);
  return target === undefined ? "not_served" : rewrite(client, target, resourceVersion, signal);
}

interface RewriteOptions {
  /** One or more, each an API server reached directly. */
  readonly clients: readonly KubeClient[];
  readonly discover: Discover;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly objectsPerSecond: number;
  readonly onDone: (done: number) => void;
  /** Told of each object that is not through. */
  readonly onLeft: (object: StaleObject, why: Exclude<RewriteOutcome, "rewritten" | "deleted">) => void;
}

export type RewriteCounts = Readonly<Record<RewriteOutcome, number>>;

const CONCURRENCY = 8;

/** At a bounded rate, spread over the API servers. One failure does not stop the others. */
export async function rewriteAll(
  objects: readonly StaleObject[],
  { clients, discover, clock, signal, objectsPerSecond, onDone, onLeft }: RewriteOptions,
): Promise<RewriteCounts> {
  const counts = { rewritten: 0, deleted: 0, contended: 0, refused: 0, not_served: 0 };
  const gapMs = 1000 / objectsPerSecond;
  let next = 0;
  let done = 0;
  let startAtMs = clock.monotonicMs();
  const worker = async (client: KubeClient): Promise<void> => {
    for (let object = objects[next++]; object !== undefined; object = objects[next++]) {
      startAtMs = Math.max(startAtMs + gapMs, clock.monotonicMs());
      await clock.sleep(startAtMs - clock.monotonicMs(), signal);
      const outcome = await rewriteObject(client, object, discover, signal);
      counts[outcome] += 1;
      if (outcome !== "rewritten" && outcome !== "deleted") {
        onLeft(object, outcome);
      }
      done += 1;
      onDone(done);
    }
  };
  const workers = Array.from({ length: CONCURRENCY }, (_, index) => clients[index % clients.length]).flatMap(
    (client) => client ?? [],
  );
  await Promise.all(workers.map(worker));
  return counts;
}
