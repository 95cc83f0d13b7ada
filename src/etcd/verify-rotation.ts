/** @module Whether a rotation is complete: a pure judgement over registry, Transit's metadata and the audit's evidence. */
import { deriveKeyId } from "../key/identity/key-id.ts";
import type { KeyScope } from "../key/identity/key-scope.ts";
import { activeVersion, type RegistryContent } from "../key/registry/record.ts";
import type { KeyMetadata } from "../openbao/transit/key-metadata.ts";
import { type Evidence, type ObjectGroup, type StoredGroup, totalOf } from "./evidence.ts";
import { groupLabel, sourceLabel } from "./group-label.ts";

/**
 * Whether a rotation still has to rewrite it: ours under another key_id than the active one, or not ours at all in a resource
 * that should be encrypted. A damaged or unknown value is stale too, but migrate cannot repair it.
 */
export function isStale(
  { resource, group }: { readonly resource: string; readonly group: ObjectGroup },
  activeKeyId: string,
  encrypted: ReadonlySet<string>,
): boolean {
  return group.kind === "ours"
    ? group.keyId !== activeKeyId
    : encrypted.has(resource) || !canBeRewritten(group);
}

/** Whether a rewrite through kube-apiserver can repair it: kube-apiserver cannot read what is damaged or unknown. */
export function canBeRewritten(group: ObjectGroup): boolean {
  return group.kind !== "damaged" && group.kind !== "unknown";
}

export interface Remaining {
  readonly source: string;
  readonly resource: string;
  /** What the objects are encrypted under, in words. */
  readonly under: string;
  readonly group: StoredGroup["kind"];
  /** The Transit version, of objects of ours. */
  readonly version: number | undefined;
  readonly objects: number;
}

export interface RotationVerdict {
  readonly result: "done" | "remaining" | "not_proven";
  readonly activeVersion: number;
  readonly activeKeyId: string;
  readonly remaining: readonly Remaining[];
  /** What is wrong beside the stored objects. */
  readonly problems: readonly string[];
  /** `high`: a running etcd and no blocker; `limited`: whole snapshots only; `low`: not even these. */
  readonly confidence: "high" | "limited" | "low";
  readonly limitations: readonly string[];
}

/** Without an object of this provider, nothing is proven: the Secrets may be in another etcd, or under another prefix. */
export const NO_OBJECT_OF_OURS =
  "no object encrypted by this provider was found: this may be the wrong etcd (the one for events?), the wrong --etcd-prefix, or an empty cluster";

interface VerifyInput {
  readonly content: RegistryContent;
  readonly scope: KeyScope;
  readonly fingerprint: string;
  readonly metadata: KeyMetadata;
  readonly evidence: Evidence;
}

export function verifyRotation(input: VerifyInput): RotationVerdict {
  const { content, scope, evidence } = input;
  const active = activeVersion(content);
  const activeKeyId = deriveKeyId(scope, active);
  const encrypted = encryptedResources(evidence);
  const remaining = groupsWhere(evidence, (each) => isStale(each, activeKeyId, encrypted));
  const problems = problemsOf(input);
  const result = remaining.length > 0 ? "remaining" : problems.length > 0 ? "not_proven" : "done";
  return {
    result,
    activeVersion: active.version,
    activeKeyId,
    remaining,
    problems,
    confidence: confidenceOf(evidence, problems),
    limitations: evidence.limitations,
  };
}

/** The resources that should be encrypted: Secrets, and every one of which an object is ours somewhere. */
export function encryptedResources({ audits }: Evidence): ReadonlySet<string> {
  const ours = audits.flatMap(({ resources }) =>
    resources.filter(({ groups }) => groups.some(({ kind }) => kind === "ours")),
  );
  return new Set(["secrets", ...ours.map(({ resource }) => resource)]);
}

/**
 * The blocker when no object has one of these key_ids: the evidence may be of another etcd. One object of any
 * version of this key shows that it is the right etcd.
 */
function nothingSeen({ audits }: Evidence, ourKeyIds: readonly string[]): readonly string[] {
  const ours = new Set(ourKeyIds);
  return audits.some(({ keyIds }) => keyIds.some(({ keyId }) => ours.has(keyId))) ? [] : [NO_OBJECT_OF_OURS];
}

/**
 * Whether nothing needs this provider any more, whatever the version. `before` is what was seen before objects were rewritten:
 * only a store in which objects of ours were seen can show that none is left.
 */
export function verifyAway(
  before: Evidence,
  after: Evidence,
  ourKeyIds: readonly string[],
): Pick<RotationVerdict, "remaining" | "problems"> {
  return {
    remaining: groupsWhere(after, ({ group: { kind } }) => kind === "ours" || kind === "damaged"),
    problems: nothingSeen(before, ourKeyIds),
  };
}

/** Objects in plaintext in resources of which an object is or was ours, and in Secrets. */
export function plaintextObjects(before: Evidence, after: Evidence): number {
  const encrypted = encryptedResources(before);
  const plain = groupsWhere(
    after,
    ({ resource, group }) => group.kind === "plaintext" && encrypted.has(resource),
  );
  return totalOf(plain);
}

function groupsWhere(
  evidence: Evidence,
  isWanted: (each: { readonly resource: string; readonly group: StoredGroup }) => boolean,
): readonly Remaining[] {
  return evidence.audits.flatMap((audit) =>
    audit.resources.flatMap(({ resource, groups }) =>
      groups
        .filter((group) => isWanted({ resource, group }))
        .map((group) => ({
          source: sourceLabel(audit),
          resource,
          under: groupLabel(group).text,
          group: group.kind,
          version: group.kind === "ours" ? group.version : undefined,
          objects: group.objects,
        })),
    ),
  );
}

function problemsOf({ content, scope, fingerprint, metadata, evidence }: VerifyInput): readonly string[] {
  const active = activeVersion(content);
  const live = metadata.versions.find(({ version }) => version === active.version);
  const pending = content.versions.filter(({ state }) => state === "pending").map(({ version }) => version);
  return [
    ...(live?.createdAtUnix === active.createdAtUnix
      ? []
      : [`Transit does not show the active version ${active.version} as this registry recorded it`]),
    ...(pending.length > 0 ? [`version ${pending.join(", ")} is waiting to become active`] : []),
    ...(metadata.latestVersion > active.version && !pending.includes(metadata.latestVersion)
      ? [`Transit's latest version is ${metadata.latestVersion}, which this node has not seen yet`]
      : []),
    ...(evidence.configuration?.fingerprint === fingerprint
      ? []
      : ["the evidence was made with another configuration, or without one"]),
    ...nothingSeen(
      evidence,
      content.versions.map((version) => deriveKeyId(scope, version)),
    ),
  ];
}

function confidenceOf({ audits }: Evidence, problems: readonly string[]): RotationVerdict["confidence"] {
  const isWhole = audits.every(({ source }) => source.kind === "etcd" || source.integrity === "verified");
  if (problems.length > 0 || !isWhole) {
    return "low";
  }
  return audits.some(({ source }) => source.kind === "etcd") ? "high" : "limited";
}
