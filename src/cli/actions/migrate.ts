/**
 * What `migrate` does.
 *
 * @module Audit, proof of every API server, rewriting in rounds, audit again. Rewriting itself is migrate/'s. A run that was
 * interrupted is simply run again: what is through is no longer stale.
 */
import { storedNow } from "../../audit/etcd/stored-now.ts";
import type { Evidence } from "../../audit/evidence.ts";
import { grouped } from "../../audit/group-label.ts";
import { knownKeyIds } from "../../audit/known-key-ids.ts";
import { canBeRewritten, isStale } from "../../audit/stale.ts";
import { encryptedResources, verifyRotation } from "../../audit/verify-rotation.ts";
import { systemClock } from "../../base/clock.ts";
import { readSafeFile } from "../../base/safe-file.ts";
import { apiServerAddresses, proveApiServers } from "../../migrate/api-servers.ts";
import { resolveCredential, textOf } from "../../migrate/credential.ts";
import { discovery } from "../../migrate/discovery.ts";
import { migrateError } from "../../migrate/errors.ts";
import { type KubeClient, kubeClient } from "../../migrate/kube-client.ts";
import { decodeKubeconfig, MAX_KUBECONFIG_BYTES } from "../../migrate/kubeconfig.ts";
import { type RewriteCounts, rewriteAll, type StaleObject } from "../../migrate/rewrite-all.ts";
import { type LiveSourceFlags, openTargets } from "../audit-sources.ts";
import { collectEvidence } from "../collect-evidence.ts";
import type { CommandContext } from "../command.ts";
import { type ConfigurationFlags, loadConfiguration } from "../configuration.ts";
import type { ExitName } from "../exit-code.ts";
import { readLiveKey } from "../live-key.ts";
import { jsonText } from "../output.ts";
import { progressBar } from "../progress.ts";
import { type RecordedVersions, requireRecorded } from "../recorded-versions.ts";
import { UsageError } from "../usage-error.ts";

export interface MigrateFlags extends LiveSourceFlags, ConfigurationFlags {
  readonly kubeconfig: string | undefined;
  readonly "kube-context": string | undefined;
  readonly "api-server": readonly string[];
  readonly rate: number;
  readonly apply: boolean;
  readonly output: "text" | "json";
}

/** How many objects are remembered at once; more are rewritten in further rounds. */
const MAX_ROUND = 50_000;

interface KeyedObject extends StaleObject {
  readonly key: string;
}

export async function migrate(flags: MigrateFlags, context: CommandContext): Promise<ExitName> {
  const { kubeconfig } = flags;
  if (flags["etcd-endpoints"] === undefined || kubeconfig === undefined) {
    throw new UsageError(
      "migrate needs --etcd-endpoints and --kubeconfig",
      "etcd says what is stale, kube-apiserver rewrites it",
    );
  }
  const { config } = await loadConfiguration(flags, context);
  const recorded = await requireRecorded(config);
  const metadata = await readLiveKey(config, context);
  const before = await auditOf(flags, recorded, context);
  const verdict = (evidence: Evidence) =>
    verifyRotation({
      content: recorded.stored.record,
      scope: recorded.identity,
      fingerprint: recorded.configuration.fingerprint,
      metadata,
      evidence,
    });
  const found = verdict(before);
  if (!flags.apply) {
    report(flags, context, { found, left: found, counts: undefined });
    return "good";
  }
  const clients = await openApiServers(flags, kubeconfig, before, context);
  try {
    const counts = await rewriteInRounds(flags, recorded, before, clients, context);
    const left = verdict(await auditOf(flags, recorded, context));
    report(flags, context, { found, left, counts });
    return left.remaining.length === 0 ? "good" : "refused";
  } finally {
    for (const client of clients) {
      client.close();
    }
  }
}

function auditOf(
  flags: MigrateFlags,
  { identity, versions, configuration }: RecordedVersions,
  context: CommandContext,
  onObject?: Parameters<typeof collectEvidence>[1]["onObject"],
  onReset?: () => void,
): Promise<Evidence> {
  return collectEvidence(
    { ...flags, snapshot: [] },
    {
      knownKeyIds: knownKeyIds(identity, versions),
      configuration,
      ...(onObject === undefined ? {} : { onObject }),
      ...(onReset === undefined ? {} : { onReset }),
    },
    context,
  );
}

async function rewriteInRounds(
  flags: MigrateFlags,
  recorded: RecordedVersions,
  before: Evidence,
  clients: readonly KubeClient[],
  context: CommandContext,
): Promise<RewriteCounts> {
  const { output, signal } = context;
  const activeKeyId = recorded.activeKeyId ?? "";
  const encrypted = encryptedResources(before);
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
    const objects = await staleObjects(flags, recorded, encrypted, given, context);
    // What a whole round did not make fewer, another one will not either.
    if (objects.length === 0 || (objects.length >= left && left < MAX_ROUND)) {
      break;
    }
    const isFirst = left === Number.POSITIVE_INFINITY;
    left = objects.length;
    if (isFirst) {
      await proveAll(flags, clients, objects, { discover, activeKeyId, signal });
    }
    const counts = await rewriteAll(objects, {
      clients,
      discover,
      clock: systemClock,
      signal,
      objectsPerSecond: flags.rate,
      onDone: (done) => progress.show("rewriting", done, objects.length),
      onLeft: ({ resource, path }, why) => {
        given.add(`${resource}/${path}`);
        output.say(`left: ${resource} ${path}: ${LEFT[why]}`);
      },
    });
    progress.end();
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
  recorded: RecordedVersions,
  encrypted: ReadonlySet<string>,
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
        isStale(object, recorded.activeKeyId ?? "", encrypted) &&
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
  {
    discover,
    activeKeyId,
    signal,
  }: Pick<Parameters<typeof proveApiServers>[1], "discover" | "activeKeyId" | "signal">,
): Promise<void> {
  const { targets, close } = await openTargets({ ...flags, snapshot: [] });
  const endpoints = targets.flatMap((target) => (target.kind === "etcd" ? target.endpoints : []));
  const keyOf = new Map(objects.map((object): [StaleObject, string] => [object, object.key]));
  try {
    await proveApiServers(clients, {
      candidates: objects,
      discover,
      activeKeyId,
      signal,
      storedUnder: async (object) => {
        const stored = await storedNow(endpoints, keyOf.get(object) ?? "", signal);
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

/** A client for each API server: those named, else those behind the Service `kubernetes`, else the kubeconfig's own. */
async function openApiServers(
  flags: MigrateFlags,
  kubeconfigPath: string,
  before: Evidence,
  { environment, signal }: CommandContext,
): Promise<readonly KubeClient[]> {
  const euid = process.geteuid?.() ?? 0;
  const { bytes } = await readSafeFile(kubeconfigPath, {
    what: "the kubeconfig",
    field: "--kubeconfig",
    maxBytes: MAX_KUBECONFIG_BYTES,
    secret: true,
    serviceUid: euid,
    errorClass: "config_invalid",
  });
  const access = decodeKubeconfig(bytes, kubeconfigPath, flags["kube-context"]);
  const source = { kubeconfigPath, euid, environment };
  const options = {
    serverName: access.serverName,
    caPem: await textOf(access.ca, "the cluster's CA", false, source),
    credential: await resolveCredential(access, source, signal),
    clock: systemClock,
  };
  const entry = kubeClient({ ...options, address: access.server });
  const named = flags["api-server"];
  const discovered = named.length > 0 ? named : await apiServerAddresses(entry, signal);
  if (discovered.length === 0) {
    assertEnough(1, before);
    return [entry];
  }
  entry.close();
  assertEnough(discovered.length, before);
  return discovered.map((address) => kubeClient({ ...options, address }));
}

function assertEnough(reached: number, { audits }: Evidence): void {
  const live = Math.max(...audits.map(({ source }) => (source.kind === "etcd" ? source.apiServers : 0)));
  if (reached < live) {
    throw migrateError(
      "api_servers_missing",
      `${live} API servers hold a Lease, but only ${reached} can be reached directly`,
      "name each of them with --api-server https://host:6443; a Lease of a server that is gone expires within an hour",
    );
  }
}

interface MigrateOutcome {
  readonly found: ReturnType<typeof verifyRotation>;
  readonly left: ReturnType<typeof verifyRotation>;
  /** Absent in a dry run. */
  readonly counts: RewriteCounts | undefined;
}

function report(
  flags: MigrateFlags,
  { output }: CommandContext,
  { found, left, counts }: MigrateOutcome,
): void {
  if (flags.output === "json") {
    output.result(
      jsonText({
        applied: counts !== undefined,
        before: found,
        after: left,
        ...(counts === undefined ? {} : { counts }),
      }),
    );
    return;
  }
  const sum = (verdict: MigrateOutcome["found"]): number =>
    verdict.remaining.reduce((total, { objects }) => total + objects, 0);
  const rows = (verdict: MigrateOutcome["found"]): readonly string[] =>
    verdict.remaining.map(({ resource, under, objects }) => `    ${grouped(objects)} ${resource}: ${under}`);
  const lines =
    counts === undefined
      ? [
          `${grouped(sum(found))} objects would be rewritten to version ${found.activeVersion}:`,
          ...rows(found),
          ...found.problems.map((problem) => `${output.paint("yellow", "!")} ${problem}`),
          "nothing was changed; --apply does it",
        ]
      : [
          `before  ${grouped(sum(found))} objects not under version ${found.activeVersion}`,
          ...rows(found),
          `after   ${grouped(sum(left))}`,
          ...rows(left),
          "",
          `${grouped(counts.rewritten)} rewritten, ${grouped(counts.deleted)} deleted by others meanwhile, ${grouped(counts.contended + counts.refused + counts.not_served)} left`,
          left.remaining.length === 0
            ? `${output.paint("green", "✓")} every object lies under version ${left.activeVersion}`
            : `${output.paint("red", "✗")} not all could be rewritten; see above, then run migrate again`,
        ];
  output.result(`${lines.join("\n")}\n`);
}
