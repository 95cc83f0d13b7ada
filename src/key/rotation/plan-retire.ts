/**
 * Which versions may be removed, and what stands against it.
 *
 * @module A pure decision over the registry, Transit's metadata, what the stored objects need and what the nodes show.
 */
import { assertNever } from "../../base/assert-never.ts";
import { countOf } from "../../base/count-of.ts";
import type { KeyMetadata } from "../../openbao/transit/key-metadata.ts";
import { deriveKeyId } from "../identity/key-id.ts";
import type { KeyScope } from "../identity/key-scope.ts";
import { withRemoved } from "../registry/changes.ts";
import { activeVersion, type RegistryContent, type VersionRecord } from "../registry/record.ts";
import { planRetirement, type RetirementPlan } from "./retire.ts";
import type { Blocker, NodeSighting, Usage } from "./usage.ts";

/** Evidence of a running etcd says less with each minute. */
export const MAX_EVIDENCE_AGE_MS = 15 * 60_000;
/**
 * For how long kube-apiserver may still write under the key_id that its node's provider has left: it asks for Status once
 * a minute and uses a seed for three minutes after the last good answer. One minute more for clocks that differ.
 * @see https://kubernetes.io/docs/tasks/administer-cluster/kms-provider/
 */
export const MAX_LATE_WRITES_MS = 5 * 60_000;

export interface RetireInput {
  readonly content: RegistryContent;
  readonly scope: KeyScope;
  readonly fingerprint: string;
  readonly metadata: KeyMetadata;
  /** Versions below this one are to be removed. */
  readonly beforeVersion: number;
  readonly usages: readonly Usage[];
  readonly nodes: readonly NodeSighting[];
  readonly nowUnixMs: number;
}

export interface RetirePlan {
  /** Ascending. */
  readonly remove: readonly VersionRecord[];
  readonly blockers: readonly Blocker[];
  /** What min_decryption_version can be raised to; `undefined` while some node may still decrypt older versions. */
  readonly raiseMinDecryptionTo: number | undefined;
}

export function planRetire(input: RetireInput): RetirePlan {
  const { content, beforeVersion } = input;
  const plan = planRetirement(content, beforeVersion);
  const remove = plan.kind === "plan" ? plan.versions : [];
  const raiseMinDecryptionTo = minDecryption(input);
  // The last step of a retirement: nothing is left to remove, and OpenBao is told.
  const isLastStep =
    plan.kind === "refused" && plan.reason === "nothing_to_remove" && raiseMinDecryptionTo !== undefined;
  return {
    remove,
    blockers: isLastStep ? [] : [...stateBlockers(input), ...evidenceBlockers(input, remove)],
    raiseMinDecryptionTo,
  };
}

/** The registry after the plan: the versions removed and, when blockers were overridden, who did it and why. */
export function withRetired(
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

/** What the registry itself says, and what Transit shows beyond it. None of it can be overridden. */
function stateBlockers({ content, metadata, beforeVersion }: RetireInput): Blocker[] {
  const plan = planRetirement(content, beforeVersion);
  if (plan.kind === "refused") {
    return [refusedBlocker(plan)];
  }
  return metadata.latestVersion > activeVersion(content).version
    ? [pendingBlocker(metadata.latestVersion)]
    : [];
}

function refusedBlocker({ reason, version }: Extract<RetirementPlan, { kind: "refused" }>): Blocker {
  switch (reason) {
    case "not_below_active":
      return blocker(
        reason,
        `version ${version} is active, and it and those above it stay`,
        `take --before-version ${version} at most`,
      );
    case "version_pending":
      return pendingBlocker(version);
    case "nothing_to_remove":
    case "nothing_to_restore":
    case "version_unknown":
      return blocker(
        reason,
        `no version below ${version} is retired and not yet removed`,
        "see `bao-kms-provider rotation-plan`",
      );
    default:
      return assertNever(reason);
  }
}

function pendingBlocker(version: number): Blocker {
  return blocker(
    "version_pending",
    `a rotation is under way: version ${version} is not active yet`,
    "wait until it is active on every node, run migrate, then audit again",
  );
}

function evidenceBlockers(input: RetireInput, remove: readonly VersionRecord[]): Blocker[] {
  const { usages } = input;
  return [
    ...(usages.some(({ kind }) => kind === "live")
      ? []
      : [
          overridable(
            "no_live_evidence",
            "nothing shows what the running etcd needs",
            "name --etcd-endpoints, or --evidence FILE of an audit of the running etcd",
          ),
        ]),
    ...usages.flatMap((usage) => usageBlockers(usage, input, remove)),
    ...nodeBlockers(input),
  ];
}

function usageBlockers(usage: Usage, input: RetireInput, remove: readonly VersionRecord[]): Blocker[] {
  const { content, scope, fingerprint, nowUnixMs } = input;
  const { name, kind, objectsByKeyId } = usage;
  const activeKeyId = deriveKeyId(scope, activeVersion(content));
  const needed = remove.filter((version) => (objectsByKeyId.get(deriveKeyId(scope, version)) ?? 0) > 0);
  const known = new Set(content.versions.map((version) => deriveKeyId(scope, version)));
  const unknown = [...objectsByKeyId].filter(([keyId]) => !known.has(keyId));
  const age = nowUnixMs - usage.readAtUnixMs;
  return [
    ...needed.map((version) =>
      overridable(
        "still_needed",
        `${name}: ${objectsByKeyId.get(deriveKeyId(scope, version)) ?? 0} objects still need version ${version.version}`,
        kind === "live"
          ? "run migrate, then audit again"
          : "keep the version for as long as the snapshot is kept, or let the snapshot go",
      ),
    ),
    ...(kind === "bare"
      ? [
          overridable(
            "bare_database",
            `${name} is a copy of member/snap/db: its write-ahead log was not read, and nothing proves that it is whole`,
            "take a snapshot with `etcdctl snapshot save`",
          ),
        ]
      : []),
    ...(usage.fingerprint === fingerprint
      ? []
      : [
          overridable(
            "other_fingerprint",
            `${name} was audited ${usage.fingerprint === undefined ? "without a configuration" : "with another configuration"}`,
            "audit it again with the --config of this node",
          ),
        ]),
    ...(usage.damaged > 0
      ? [
          overridable(
            "damaged_envelopes",
            `${name}: ${usage.damaged} objects lie in damaged or foreign envelopes; which version they need cannot be told`,
            "find them with `bao-kms-provider audit --list stale` and mend or delete them",
          ),
        ]
      : []),
    ...(unknown.length > 0
      ? [
          overridable(
            "unknown_key_ids",
            `${name}: ${unknown.reduce((sum, [, count]) => sum + count, 0)} objects lie under ${unknown.length} key_ids that this registry does not know`,
            "see whether they belong to another cluster, or another configuration of this one",
          ),
        ]
      : []),
    ...(kind === "live"
      ? liveBlockers(
          usage,
          activeKeyId,
          [...objectsByKeyId.keys()].some((keyId) => known.has(keyId)),
          age,
        )
      : []),
  ];
}

function liveBlockers(
  { name, objectsByKeyId }: Usage,
  activeKeyId: string,
  isOursInSight: boolean,
  ageMs: number,
): Blocker[] {
  return [
    ...((objectsByKeyId.get(activeKeyId) ?? 0) > 0
      ? []
      : isOursInSight
        ? [
            overridable(
              "nothing_under_active",
              `${name}: no object is encrypted under the active key_id yet`,
              "run migrate, then audit again",
            ),
          ]
        : [
            overridable(
              "nothing_of_ours",
              `${name}: no object encrypted by this provider is in sight, so this may be the wrong etcd or prefix`,
              "check --etcd-endpoints and --etcd-prefix before anything else",
            ),
          ]),
    ...(ageMs > MAX_EVIDENCE_AGE_MS || ageMs < 0
      ? [
          overridable(
            "stale_evidence",
            ageMs < 0
              ? `${name} was audited in the future of this machine's clock`
              : `${name} was audited ${Math.floor(ageMs / 60_000)} minutes ago, more than ${MAX_EVIDENCE_AGE_MS / 60_000}`,
            "audit it again",
          ),
        ]
      : []),
  ];
}

function nodeBlockers({ content, scope, usages, nodes }: RetireInput): Blocker[] {
  const activeKeyId = deriveKeyId(scope, activeVersion(content));
  const live = usages.filter(({ kind }) => kind === "live");
  const wanted = Math.max(1, ...live.map(({ liveApiServers }) => liveApiServers));
  const good = nodes.filter(({ keyId, healthy }) => keyId === activeKeyId && healthy);
  const hosts = new Set(good.map(({ host }) => host));
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
    ...(hosts.size < wanted
      ? [
          overridable(
            "nodes_missing",
            `reported with the active key_id: ${countOf(hosts.size, "node")}; live: at least ${countOf(wanted, "API server")}`,
            "run `bao-kms-provider probe --output json` on every control-plane node and name each file with --node-report",
          ),
        ]
      : []),
    ...live
      .filter(({ readAtUnixMs }) => good.length > 0 && readAtUnixMs < latest + MAX_LATE_WRITES_MS)
      .map(({ name }) =>
        overridable(
          "read_too_early",
          `${name} was read less than ${MAX_LATE_WRITES_MS / 60_000} minutes after the last node was seen with the active key_id; API servers may have written under the old one since`,
          "audit it again, with the same node reports",
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

function blocker(code: string, message: string, advice: string): Blocker {
  return { code, message, advice, overridable: false };
}

function overridable(code: string, message: string, advice: string): Blocker {
  return { code, message, advice, overridable: true };
}
