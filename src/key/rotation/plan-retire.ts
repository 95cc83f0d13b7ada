/** @module Which versions may be removed, and what blocks it. Pure. */
import { countOf } from "../../base/words.ts";
import type { KeyMetadata } from "../../openbao/transit/key-metadata.ts";
import { deriveKeyId } from "../identity/key-id.ts";
import type { KeyScope } from "../identity/key-scope.ts";
import { withRemoved } from "../registry/changes.ts";
import { activeVersion, type RegistryContent, type VersionRecord } from "../registry/record.ts";
import { type Blocker, blocker, type NodeReport, overridable, presentBlockers, type Usage } from "./usage.ts";

/** Evidence of a running etcd says less with each minute. */
export const MAX_EVIDENCE_AGE_MS = 15 * 60_000;
/**
 * For how long kube-apiserver may still write under the key_id that its node's provider has left: it asks for Status once
 * a minute and uses a seed for three minutes after the last good answer. One minute more for clocks that differ.
 * @see https://kubernetes.io/docs/tasks/administer-cluster/kms-provider/
 */
const MAX_LATE_WRITES_MS = 5 * 60_000;

export interface RetireInput {
  readonly content: RegistryContent;
  readonly scope: KeyScope;
  readonly fingerprint: string;
  readonly metadata: KeyMetadata;
  readonly beforeVersion: number;
  readonly usages: readonly Usage[];
  readonly nodes: readonly NodeReport[];
  readonly nowUnixMs: number;
}

export interface RetirePlan {
  readonly remove: readonly VersionRecord[];
  readonly blockers: readonly Blocker[];
  /** What min_decryption_version can be raised to; `undefined` while some node may still decrypt older versions. */
  readonly raiseMinDecryptionTo: number | undefined;
}

export function planRetire(input: RetireInput): RetirePlan {
  const { content, beforeVersion, metadata } = input;
  const refused = registryBlocker(content, beforeVersion);
  const remove = refused === undefined ? retiredBelow(content, beforeVersion) : [];
  const raiseMinDecryptionTo = minDecryption(input);
  // The last step of a retirement: nothing is left to remove, and Transit gets the new minimum.
  const isLastStep = refused?.code === "nothing_to_remove" && raiseMinDecryptionTo !== undefined;
  const isRotating = refused === undefined && metadata.latestVersion > activeVersion(content).version;
  return {
    remove,
    blockers: isLastStep
      ? []
      : [
          ...presentBlockers(refused ?? false, isRotating && pendingBlocker(metadata.latestVersion)),
          ...evidenceBlockers(input, remove),
        ],
    raiseMinDecryptionTo,
  };
}

/** The registry after the plan: the versions removed and, when blockers were overridden, who did it and why. */
export function withPlannedRemoval(
  content: RegistryContent,
  { remove }: RetirePlan,
  override: { readonly by: string; readonly reason: string } | undefined,
  nowUnixMs: number,
): RegistryContent {
  return withRemoved(
    content,
    remove.map(({ version }) => version),
    override === undefined ? undefined : { atUnixMs: nowUnixMs, kind: "retire_override", ...override },
  );
}

function retiredBelow({ versions }: RegistryContent, beforeVersion: number): readonly VersionRecord[] {
  return versions.filter(({ state, version }) => state === "retired" && version < beforeVersion);
}

/** What the registry itself forbids. None of it can be overridden. */
function registryBlocker(content: RegistryContent, beforeVersion: number): Blocker | undefined {
  const active = activeVersion(content).version;
  if (beforeVersion > active) {
    return blocker(
      "not_below_active",
      `version ${active} is active; it and the versions above it stay`,
      `give --before-version ${active} or less`,
    );
  }
  const pending = content.versions.find(({ state }) => state === "pending");
  if (pending !== undefined) {
    return pendingBlocker(pending.version);
  }
  return retiredBelow(content, beforeVersion).length > 0
    ? undefined
    : blocker(
        "nothing_to_remove",
        `no version below ${beforeVersion} is retired and not yet removed`,
        "see `bao-kms-provider rotation-plan`",
      );
}

function pendingBlocker(version: number): Blocker {
  return blocker(
    "version_pending",
    `a rotation is in progress: version ${version} is not active yet`,
    "wait until it is active on every node, run migrate, then audit again",
  );
}

function evidenceBlockers(input: RetireInput, remove: readonly VersionRecord[]): readonly Blocker[] {
  const { usages } = input;
  return [
    ...presentBlockers(
      !usages.some(({ kind }) => kind === "live") &&
        overridable(
          "no_live_evidence",
          "nothing shows what the running etcd needs",
          "name --etcd-endpoints, or --evidence FILE of an audit of the running etcd",
        ),
    ),
    ...usages.flatMap((usage) => usageBlockers(usage, input, remove)),
    ...nodeBlockers(input),
  ];
}

function usageBlockers(
  usage: Usage,
  { content, scope, fingerprint, nowUnixMs }: RetireInput,
  remove: readonly VersionRecord[],
): readonly Blocker[] {
  const { name, kind, objectsByKeyId } = usage;
  const objectsOf = (version: VersionRecord): number => objectsByKeyId.get(deriveKeyId(scope, version)) ?? 0;
  const known = new Set(content.versions.map((version) => deriveKeyId(scope, version)));
  const unknown = [...objectsByKeyId].filter(([keyId]) => !known.has(keyId));
  const isOursInSight = unknown.length < objectsByKeyId.size;
  const ageMs = nowUnixMs - usage.readAtUnixMs;
  return [
    ...remove
      .filter((version) => objectsOf(version) > 0)
      .map((version) =>
        overridable(
          "still_needed",
          `${name}: ${objectsOf(version)} objects still need version ${version.version}`,
          kind === "live"
            ? "run migrate, then audit again"
            : "keep the version for as long as the snapshot is kept, or let the snapshot go",
        ),
      ),
    ...presentBlockers(
      kind === "bare" &&
        overridable(
          "bare_database",
          `${name} is a copy of member/snap/db: its write-ahead log was not read, and nothing proves that it is whole`,
          "take a snapshot with `etcdctl snapshot save`",
        ),
      usage.fingerprint !== fingerprint &&
        overridable(
          "other_fingerprint",
          `${name} was audited ${usage.fingerprint === undefined ? "without a configuration" : "with another configuration"}`,
          "audit it again with the --config of this node",
        ),
      usage.damaged > 0 &&
        overridable(
          "damaged_envelopes",
          `${name}: ${usage.damaged} objects have damaged or foreign envelopes; which version they need is unknown`,
          "find them with `bao-kms-provider audit --list stale`; fix or delete them",
        ),
      unknown.length > 0 &&
        overridable(
          "unknown_key_ids",
          `${name}: ${unknown.reduce((sum, [, count]) => sum + count, 0)} objects use ${unknown.length} key_ids that this registry does not have`,
          "check whether they belong to another cluster, or to another configuration of this one",
        ),
      kind === "live" &&
        objectsOf(activeVersion(content)) === 0 &&
        (isOursInSight
          ? overridable(
              "nothing_under_active",
              `${name}: no object is encrypted under the active key_id yet`,
              "run migrate, then audit again",
            )
          : overridable(
              "nothing_of_ours",
              `${name}: no object encrypted by this provider was found, so this may be the wrong etcd or prefix`,
              "check --etcd-endpoints and --etcd-prefix before anything else",
            )),
      kind === "live" &&
        (ageMs > MAX_EVIDENCE_AGE_MS || ageMs < 0) &&
        overridable(
          "stale_evidence",
          ageMs < 0
            ? `${name} was audited in the future of this machine's clock`
            : `${name} was audited ${Math.floor(ageMs / 60_000)} minutes ago, more than ${MAX_EVIDENCE_AGE_MS / 60_000}`,
          "audit it again",
        ),
    ),
  ];
}

function nodeBlockers({ content, scope, usages, nodes }: RetireInput): readonly Blocker[] {
  const activeKeyId = deriveKeyId(scope, activeVersion(content));
  const live = usages.filter(({ kind }) => kind === "live");
  const wanted = Math.max(1, ...live.map(({ liveApiServers }) => liveApiServers));
  const good = nodes.filter(({ keyId, healthy }) => keyId === activeKeyId && healthy);
  const hosts = new Set(good.map(({ host }) => host));
  // Without any node: -Infinity.
  const latest = Math.max(...good.map(({ seenAtUnixMs }) => seenAtUnixMs));
  return [
    ...nodes
      .filter((node) => !good.includes(node))
      .map(({ host, healthy }) =>
        overridable(
          "node_behind",
          healthy ? `${host} shows another key_id than the active one` : `${host} reports a failed probe`,
          "wait until every node shows the same key_id, then probe again",
        ),
      ),
    ...presentBlockers(
      hosts.size < wanted &&
        overridable(
          "nodes_missing",
          `reported with the active key_id: ${countOf(hosts.size, "node")}; live: at least ${countOf(wanted, "API server")}`,
          "run `bao-kms-provider probe --output json` on every control-plane node and name each file with --node-report",
        ),
    ),
    ...live
      .filter(({ readAtUnixMs }) => readAtUnixMs < latest + MAX_LATE_WRITES_MS)
      .map(({ name }) =>
        overridable(
          "read_too_early",
          `${name} was read less than ${MAX_LATE_WRITES_MS / 60_000} minutes after the last node was seen with the active key_id; API servers may have written under the old one since`,
          `audit it again after ${new Date(latest + MAX_LATE_WRITES_MS).toISOString()}, with the same node reports`,
        ),
      ),
  ];
}

/** The oldest version that is not removed, when every node says that all older ones are removed there too. */
function minDecryption({ content, metadata, nodes, usages }: RetireInput): number | undefined {
  const wanted = Math.max(1, ...usages.map(({ liveApiServers }) => liveApiServers));
  const kept = content.versions.filter(({ state }) => state !== "removed" && state !== "rejected");
  const lowest = Math.min(...kept.map(({ version }) => version));
  const removed = content.versions.filter(({ version, state }) => state === "removed" && version < lowest);
  const isRemovedEverywhere = removed.every(({ version }) =>
    nodes.every(({ removedVersions }) => removedVersions?.includes(version) === true),
  );
  const hasAllNodes = new Set(nodes.map(({ host }) => host)).size >= wanted;
  return removed.length > 0 && isRemovedEverywhere && hasAllNodes && lowest > metadata.minDecryptionVersion
    ? lowest
    : undefined;
}
