/** @module `migrate`: audits, proves every API server, rewrites in rounds, audits again. A run that was interrupted can be repeated. */
import { systemClock } from "../../base/clock.ts";
import { visible } from "../../base/visible-text.ts";
import type { CommandContext } from "../../cli/command.ts";
import type { ExitName } from "../../cli/exit-code.ts";
import { progressBar } from "../../cli/progress.ts";
import { UsageError } from "../../cli/usage-error.ts";
import type { Evidence } from "../../etcd/evidence.ts";
import { readStoredValue } from "../../etcd/reader/read-stored-value.ts";
import { canBeRewritten } from "../../etcd/stale.ts";
import { keyIdsOf } from "../../etcd/tally.ts";
import type { Remaining } from "../../etcd/verify-rotation.ts";
import { discovery } from "../../kubernetes/discovery.ts";
import type { KubeClient } from "../../kubernetes/kube-client.ts";
import { storageVersionMigrations } from "../../kubernetes/storage-version-migration.ts";
import { openTargets } from "../audit-sources.ts";
import { loadConfiguration } from "../configuration.ts";
import { collectEvidence } from "../gather-evidence.ts";
import { requireRecorded } from "../recorded-versions.ts";
import { openApiServers } from "./api-server-clients.ts";
import { type ProofOptions, proveApiServers } from "./api-servers.ts";
import type { MigrateFlags } from "./command.ts";
import { activeGoal, awayGoal, type Goal, type Verdict } from "./goal.ts";
import { isProven, reportMigration } from "./report.ts";
import { type RewriteCounts, rewriteAll, type StaleObject } from "./rewrite-all.ts";
import { type RequestedMigration, rewriteThroughCluster } from "./rewrite-through-cluster.ts";

/** How many objects are remembered at once; more are rewritten in further rounds. */
const MAX_ROUND = 50_000;

type Recorded = Awaited<ReturnType<typeof requireRecorded>>;

interface KeyedObject extends StaleObject {
  readonly key: string;
}

export async function migrate(flags: MigrateFlags, context: CommandContext): Promise<ExitName> {
  const { kubeconfig } = flags;
  if (flags["etcd-endpoints"] === undefined || kubeconfig === undefined) {
    throw new UsageError(
      "migrate needs --etcd-endpoints and --kubeconfig",
      "etcd shows what is stale, and kube-apiserver rewrites it",
    );
  }
  const { config } = await loadConfiguration(flags, context);
  const recorded = await requireRecorded(config);
  const before = await auditOf(flags, recorded, context);
  const goal = flags.away ? awayGoal(recorded, before) : await activeGoal(config, recorded, before, context);
  const found = goal.judge(before);
  const clients = await openApiServers(flags, kubeconfig, before, context);
  try {
    return await (flags.apply
      ? apply(flags, recorded, { goal, found, clients }, context)
      : plan(flags, { goal, found, clients }, context));
  } finally {
    for (const client of clients) {
      client.close();
    }
  }
}

interface Migration {
  readonly goal: Goal;
  readonly found: Verdict;
  readonly clients: readonly KubeClient[];
}

/** A dry run. It asks discovery too, so that a kubeconfig that does not work is seen before `--apply`. */
async function plan(
  flags: MigrateFlags,
  { goal, found, clients }: Migration,
  { output, signal }: CommandContext,
): Promise<ExitName> {
  const resources = new Set(["secrets", ...found.remaining.map(({ resource }) => resource)]);
  for (const client of clients) {
    const discover = discovery(client, signal);
    for (const resource of resources) {
      await discover(resource);
    }
  }
  reportMigration(flags.output, output, goal.words, { found, left: found });
  return found.remaining.length > 0 || isProven(found) ? "good" : "refused";
}

async function apply(
  flags: MigrateFlags,
  recorded: Recorded,
  { goal, found, clients }: Migration,
  context: CommandContext,
): Promise<ExitName> {
  const work = flags["storage-version-migration"]
    ? {
        requested: await rewriteByCluster(
          flags,
          recorded,
          goal,
          { clients, remaining: found.remaining },
          context,
        ),
      }
    : { counts: await rewriteInRounds(flags, recorded, goal, clients, context) };
  const left = goal.judge(await auditOf(flags, recorded, context));
  reportMigration(flags.output, context.output, goal.words, { found, left, ...work });
  return isProven(left) ? "good" : "refused";
}

/** Leaves the work to the cluster: one request for each resource with objects that a rewrite can repair. */
async function rewriteByCluster(
  flags: MigrateFlags,
  recorded: Recorded,
  goal: Goal,
  {
    clients,
    remaining,
  }: { readonly clients: readonly KubeClient[]; readonly remaining: readonly Remaining[] },
  context: CommandContext,
): Promise<readonly RequestedMigration[]> {
  const { output, signal } = context;
  const mendable = remaining.filter(({ group }) => group !== "damaged" && group !== "unknown");
  const resources = [...new Set(mendable.map(({ resource }) => resource))];
  const [first] = clients;
  if (first === undefined || resources.length === 0) {
    return [];
  }
  const migrations = await storageVersionMigrations(first, signal);
  const discover = discovery(first, signal);
  const objects = await staleObjects(flags, recorded, goal, new Set(), context);
  await proveAll(flags, clients, objects, { discover, isAsWanted: goal.isReached, signal });
  const progress = progressBar(output, systemClock);
  return rewriteThroughCluster(resources, {
    migrations,
    discover,
    clock: systemClock,
    signal,
    waitMs: flags.wait,
    onProgress: (ended, total) => progress("rewritten by the cluster", ended, total),
  });
}

function auditOf(
  flags: MigrateFlags,
  { identity, versions, configuration }: Recorded,
  context: CommandContext,
  onObject?: Parameters<typeof collectEvidence>[1]["onObject"],
  onReset?: () => void,
): Promise<Evidence> {
  return collectEvidence(
    { ...flags, snapshot: [] },
    {
      knownKeyIds: keyIdsOf(identity, versions),
      configuration,
      onObject,
      onReset,
    },
    context,
  );
}

async function rewriteInRounds(
  flags: MigrateFlags,
  recorded: Recorded,
  goal: Goal,
  clients: readonly KubeClient[],
  context: CommandContext,
): Promise<RewriteCounts> {
  const { output, signal } = context;
  const [first] = clients;
  const total = { rewritten: 0, deleted: 0, contended: 0, refused: 0, not_served: 0 };
  if (first === undefined) {
    return total;
  }
  const discover = discovery(first, signal);
  const progress = progressBar(output, systemClock);
  const given = new Set<string>();
  let left = Number.POSITIVE_INFINITY;
  for (;;) {
    const objects = await staleObjects(flags, recorded, goal, given, context);
    // What a whole round did not make fewer, another one will not either.
    if (objects.length === 0 || (objects.length >= left && left < MAX_ROUND)) {
      break;
    }
    const isFirst = left === Number.POSITIVE_INFINITY;
    left = objects.length;
    if (isFirst) {
      await proveAll(flags, clients, objects, { discover, isAsWanted: goal.isReached, signal });
    }
    const counts = await rewriteAll(objects, {
      clients,
      discover,
      clock: systemClock,
      signal,
      objectsPerSecond: flags.rate,
      onDone: (done) => progress("rewriting", done, objects.length),
      onLeft: ({ resource, path }, why) => {
        given.add(`${resource}/${path}`);
        output.say(`left: ${visible(`${resource} ${path}`)}: ${LEFT[why]}`);
      },
    });
    total.rewritten += counts.rewritten;
    total.deleted += counts.deleted;
    total.contended += counts.contended;
    total.refused += counts.refused;
    total.not_served += counts.not_served;
  }
  return total;
}

const LEFT = {
  contended: "changed by others each time; run migrate again",
  refused: "kube-apiserver does not accept it as it is stored; see its log and its admission webhooks",
  not_served:
    "kube-apiserver does not serve this resource any more; delete it, or install its definition again",
} as const;

/** What is stale now, at most one round of it, without what was given up on before. */
async function staleObjects(
  flags: MigrateFlags,
  recorded: Recorded,
  goal: Goal,
  given: ReadonlySet<string>,
  context: CommandContext,
): Promise<readonly KeyedObject[]> {
  const objects: KeyedObject[] = [];
  await auditOf(
    flags,
    recorded,
    context,
    (object) => {
      const { key, resource, path, modRevision, group } = object;
      const isWanted =
        objects.length < MAX_ROUND &&
        canBeRewritten(group) &&
        goal.isStale(object) &&
        !given.has(`${resource}/${path}`);
      if (isWanted) {
        objects.push({ key, resource, path, resourceVersion: String(modRevision) });
      }
    },
    () => objects.splice(0),
  );
  return objects;
}

async function proveAll(
  flags: MigrateFlags,
  clients: readonly KubeClient[],
  objects: readonly KeyedObject[],
  { discover, isAsWanted, signal }: Pick<ProofOptions, "discover" | "isAsWanted" | "signal">,
): Promise<void> {
  const { targets, close } = await openTargets({ ...flags, snapshot: [] });
  const endpoints = targets.flatMap((target) => (target.kind === "etcd" ? target.endpoints : []));
  const keyOf = new Map(objects.map((object): [StaleObject, string] => [object, object.key]));
  try {
    await proveApiServers(clients, {
      candidates: objects,
      discover,
      isAsWanted,
      signal,
      storedUnder: async (object) => {
        const stored = await readStoredValue(endpoints, keyOf.get(object) ?? "", signal);
        return stored === undefined
          ? { kind: "gone" }
          : stored.kind === "ours"
            ? { kind: "ours", keyId: stored.keyId }
            : { kind: "other" };
      },
    });
  } finally {
    close();
  }
}
