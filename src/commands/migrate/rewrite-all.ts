/** @module Many objects written again at a bounded rate, spread over the API servers. One failure does not stop the others. */
import type { Clock } from "../../base/clock.ts";
import { objectPath, type ServedResource } from "../../kubernetes/discovery.ts";
import type { KubeClient } from "../../kubernetes/kube-client.ts";
import { type RewriteOutcome, rewrite } from "./rewrite.ts";

export interface StaleObject {
  readonly resource: string;
  /** Namespace and name, or the name alone. */
  readonly path: string;
  readonly resourceVersion: string;
}

interface RewriteOptions {
  /** One or more, each an API server reached directly. */
  readonly clients: readonly KubeClient[];
  readonly discover: (resource: string) => Promise<ServedResource | undefined>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly objectsPerSecond: number;
  readonly onDone: (done: number) => void;
  /** Told of each object that is not through. */
  readonly onLeft: (
    object: StaleObject,
    why: Exclude<RewriteOutcome, "rewritten" | "deleted"> | "not_served",
  ) => void;
}

export type RewriteCounts = Readonly<Record<RewriteOutcome | "not_served", number>>;

const CONCURRENCY = 8;

export async function rewriteAll(
  objects: readonly StaleObject[],
  options: RewriteOptions,
): Promise<RewriteCounts> {
  const { clients, clock, signal, objectsPerSecond, onDone, onLeft } = options;
  const counts = { rewritten: 0, deleted: 0, contended: 0, refused: 0, not_served: 0 };
  const gapMs = 1000 / objectsPerSecond;
  let next = 0;
  let done = 0;
  let startAtMs = clock.monotonicMs();
  const worker = async (client: KubeClient): Promise<void> => {
    for (let object = objects[next++]; object !== undefined; object = objects[next++]) {
      startAtMs = Math.max(startAtMs + gapMs, clock.monotonicMs());
      await clock.sleep(startAtMs - clock.monotonicMs(), signal);
      const outcome = await rewriteOne(client, object, options);
      counts[outcome] += 1;
      if (outcome === "contended" || outcome === "refused" || outcome === "not_served") {
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

async function rewriteOne(
  client: KubeClient,
  { resource, path, resourceVersion }: StaleObject,
  { discover, signal }: RewriteOptions,
): Promise<RewriteOutcome | "not_served"> {
  const served = await discover(resource);
  const target = served === undefined ? undefined : objectPath(served, path);
  return target === undefined ? "not_served" : rewrite(client, target, resourceVersion, signal);
}
