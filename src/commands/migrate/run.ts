/** @module `migrate`: audits, proves every API server, rewrites in rounds, audits again. A run that was interrupted can be repeated. */
import { systemClock } from "../../base/clock.ts";
import { visible } from "../../base/visible-text.ts";
import type { CommandContext } from "../../cli/command.ts";
import { UsageError } from "../../cli/errors.ts";
import type { ExitName } from "../../cli/exit-code.ts";
import { progressBar } from "../../cli/progress.ts";
import type { Evidence } from "../../etcd/evidence.ts";
import { readStoredValue } from "../../etcd/reader/read-stored-value.ts";
import { keyIdsOf } from "../../etcd/tally.ts";
import { canBeRewritten } from "../../etcd/verify-rotation.ts";
import { type Discover, discovery } from "../../kubernetes/discovery.ts";
import { openTargets } from "../audit-sources.ts";
import { loadConfiguration } from "../configuration.ts";
import { auditSources } from "../evidence.ts";
import { requireRecorded } from "../recorded-versions.ts";
import { openApiServers, proveApiServers } from "./api-servers.ts";
import type { MigrateFlags } from "./command.ts";
import { activeGoal, awayGoal, type Goal, type Verdict } from "./goal.ts";
import { isProven, reportMigration } from "./report.ts";
import { REWRITE_OUTCOMES, type RewriteCounts, rewriteAll, type StaleObject } from "./rewrite-objects.ts";
import {
  type RequestedMigration,
  rewriteThroughCluster,
  storageVersionMigrations,
} from "./storage-version-migration.ts";

/** How many objects are remembered at once; more are rewritten in further rounds. */
const MAX_ROUND = 50_000;

/** What the steps of one run share. */
interface Run {
  readonly flags: MigrateFlags;
  readonly context: CommandContext;
  readonly recorded: Awaited<ReturnType<typeof requireRecorded>>;
  readonly goal: Goal;
  readonly clients: Awaited<ReturnType<typeof openApiServers>>;
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
  const before = await audit({ flags, recorded, context });
  const goal = flags.away ? awayGoal(recorded, before) : await activeGoal(config, recorded, before, context);
  const found = goal.judge(before);
  const clients = await openApiServers(flags, kubeconfig, before, context);
  const run = { flags, context, recorded, goal, clients };
  try {
    return await (flags.apply ? apply(run, found) : plan(run, found));
  } finally {
    for (const client of clients) {
      client.close();
    }
  }
}

/** A dry run. It asks discovery too, so that a kubeconfig that does not work is seen before `--apply`. */
async function plan({ flags, goal, clients, context }: Run, found: Verdict): Promise<ExitName> {
  const resources = new Set(["secrets", ...found.remaining.map(({ resource }) => resource)]);
  for (const client of clients) {
    const discover = discovery(client, context.signal);
    for (const resource of resources) {
      await discover(resource);
    }
  }
  reportMigration(flags.output, context.output, goal.words, { found, left: found });
  return found.remaining.length > 0 || isProven(found) ? "good" : "refused";
}

async function apply(run: Run, found: Verdict): Promise<ExitName> {
  const { flags, goal, context } = run;
  const work = flags["storage-version-migration"]
    ? { requested: await rewriteByCluster(run, found) }
    : { counts: await rewriteInRounds(run) };
  const left = goal.judge(await audit(run));
  reportMigration(flags.output, context.output, goal.words, { found, left, ...work });
  return isProven(left) ? "good" : "refused";
}

/** Leaves the work to the cluster: one request for each resource with objects that a rewrite can repair. */
async function rewriteByCluster(run: Run, { remaining }: Verdict): Promise<readonly RequestedMigration[]> {
  const { output, signal } = run.context;
  const repairable = remaining.filter(({ group }) => group !== "damaged" && group !== "unknown");
  const resources = [...new Set(repairable.map(({ resource }) => resource))];
  if (resources.length === 0) {
    return [];
  }
  const [first] = run.clients;
  const migrations = await storageVersionMigrations(first, signal);
  const discover = discovery(first, signal);
  await prove(run, await staleObjects(run, new Set()), discover);
  const progress = progressBar(output, systemClock);
  return rewriteThroughCluster(resources, {
    migrations,
    discover,
    clock: systemClock,
    signal,
    waitMs: run.flags.wait,
    onProgress: (ended, total) => progress("rewritten by the cluster", ended, total),
  });
}

function audit(
  { flags, recorded, context }: Pick<Run, "flags" | "recorded" | "context">,
  watch: Pick<Parameters<typeof auditSources>[1], "onObject" | "onReset"> = {},
): Promise<Evidence> {
  const { identity, versions, configuration } = recorded;
  return auditSources(
    { ...flags, snapshot: [] },
    { knownKeyIds: keyIdsOf(identity, versions), configuration, ...watch },
    context,
  );
}

async function rewriteInRounds(run: Run): Promise<RewriteCounts> {
  const { flags, clients } = run;
  const { output, signal } = run.context;
  const discover = discovery(clients[0], signal);
  const progress = progressBar(output, systemClock);
  const total = { rewritten: 0, deleted: 0, contended: 0, refused: 0, not_served: 0 };
  const given = new Set<string>();
  let left = Number.POSITIVE_INFINITY;
  for (;;) {
    const objects = await staleObjects(run, given);
    // What a whole round did not make fewer, another one will not either.
    if (objects.length === 0 || (objects.length >= left && left < MAX_ROUND)) {
      return total;
    }
    if (left === Number.POSITIVE_INFINITY) {
      await prove(run, objects, discover);
    }
    left = objects.length;
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
    for (const outcome of REWRITE_OUTCOMES) {
      total[outcome] += counts[outcome];
    }
  }
}

const LEFT = {
  contended: "changed by others each time; run migrate again",
  refused: "kube-apiserver does not accept it as it is stored; see its log and its admission webhooks",
  not_served:
    "kube-apiserver does not serve this resource any more; delete it, or install its definition again",
} as const;

/** What is stale now, at most one round of it, without what was given up on before. */
async function staleObjects(run: Run, given: ReadonlySet<string>): Promise<readonly StaleObject[]> {
  const objects: StaleObject[] = [];
  await audit(run, {
    onObject: (object) => {
      const { key, resource, path, modRevision, group } = object;
      const isWanted =
        objects.length < MAX_ROUND &&
        canBeRewritten(group) &&
        run.goal.isStale(object) &&
        !given.has(`${resource}/${path}`);
      if (isWanted) {
        objects.push({ key, resource, path, resourceVersion: String(modRevision) });
      }
    },
    onReset: () => objects.splice(0),
  });
  return objects;
}

async function prove(
  { flags, goal, clients, context }: Run,
  candidates: readonly StaleObject[],
  discover: Discover,
): Promise<void> {
  const { signal } = context;
  const { targets, close } = await openTargets({ ...flags, snapshot: [] });
  const endpoints = targets.flatMap((target) => (target.kind === "etcd" ? target.endpoints : []));
  try {
    await proveApiServers(clients, {
      candidates,
      discover,
      isReached: goal.isReached,
      signal,
      storedNow: ({ key }) => readStoredValue(endpoints, key, signal),
    });
  } finally {
    close();
  }
}
