/**
 * @module An audit's result as a file. Its digest is SHA-256 over the document without `digest`, compact and with sorted keys:
 * `jq -cjS 'del(.digest)' evidence.json | sha256sum`. It shows a mistaken change, not who made it.
 */
import { createHash } from "node:crypto";
import * as v from "valibot";
import { parseJson } from "../base/parse-json.ts";
import { sortedCopy } from "../base/sorted-copy.ts";
import type { Usage } from "../key/rotation/usage.ts";
import { auditError } from "./errors.ts";
import { LOCAL_TRANSFORMERS } from "./stored/stored-value.ts";

const EVIDENCE_KIND = "bao-kms-provider/audit";
const EVIDENCE_SCHEMA_VERSION = 1;
/** Some ten thousand groups with long names. */
export const MAX_EVIDENCE_BYTES = 16 * 1024 * 1024;

const TEXT = v.pipe(v.string(), v.maxLength(4096));
const COUNT = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const TIME = v.pipe(v.string(), v.isoTimestamp());
const SHA256 = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));

const OURS = {
  keyId: TEXT,
  /** The Transit version; `versionFrom` says how it is known. */
  version: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  /** `derived`: from registry or live metadata. `stated`: only the object's own annotation says so. */
  versionFrom: v.picklist(["derived", "stated"]),
};

const GROUP = v.variant("kind", [
  v.strictObject({ kind: v.literal("plaintext"), objects: COUNT }),
  v.strictObject({
    kind: v.literal("local_key"),
    transformer: v.picklist(LOCAL_TRANSFORMERS),
    keyName: TEXT,
    objects: COUNT,
  }),
  v.strictObject({ kind: v.literal("kms_v1"), provider: TEXT, objects: COUNT }),
  v.strictObject({ kind: v.literal("kms_v2_other"), provider: TEXT, keyId: TEXT, objects: COUNT }),
  v.strictObject({ kind: v.literal("ours"), provider: TEXT, ...OURS, objects: COUNT }),
  v.strictObject({ kind: v.literal("damaged"), provider: TEXT, objects: COUNT }),
  v.strictObject({ kind: v.literal("unknown"), objects: COUNT }),
]);

const SOURCE = v.variant("kind", [
  v.strictObject({
    kind: v.literal("etcd"),
    /** Hexadecimal, as `etcdctl member list --hex` writes it. */
    clusterId: v.pipe(v.string(), v.regex(/^[0-9a-f]{1,16}$/)),
    endpoints: v.array(TEXT),
    revision: COUNT,
    /** When the revision was fixed: objects written later were not seen. */
    readAt: TIME,
    /** How often the read started again because its revision was compacted. */
    restarts: COUNT,
    /** API servers whose Lease had not expired. */
    apiServers: COUNT,
  }),
  v.strictObject({
    kind: v.literal("snapshot"),
    file: TEXT,
    /** Of the database; for a saved snapshot the digest that etcdctl appended. */
    sha256: SHA256,
    /** `absent`: a bare member/snap/db, whose write-ahead log was not read. */
    integrity: v.picklist(["verified", "absent"]),
    sizeBytes: COUNT,
    revision: COUNT,
    readAt: TIME,
  }),
]);

const AUDIT = v.strictObject({
  source: SOURCE,
  prefix: TEXT,
  objects: COUNT,
  resources: v.array(v.strictObject({ resource: TEXT, objects: COUNT, groups: v.array(GROUP) })),
  /** Objects of ours per key_id, over all resources. */
  keyIds: v.array(v.strictObject({ ...OURS, objects: COUNT })),
  /** Distinct encrypted seeds of objects of ours: as many Decrypts does a cold start of an API server cost. */
  seeds: v.exactOptional(COUNT),
});

/** The shape of the file, and of `audit --output json`. */
export const EVIDENCE = v.strictObject({
  kind: v.literal(EVIDENCE_KIND),
  schemaVersion: v.literal(EVIDENCE_SCHEMA_VERSION),
  createdAt: TIME,
  providerVersion: TEXT,
  /** Absent when the audit ran without a configuration: key_ids are then not tied to any key. */
  configuration: v.exactOptional(
    v.strictObject({ fingerprint: TEXT, providerName: TEXT, clusterId: v.exactOptional(TEXT) }),
  ),
  audits: v.pipe(v.array(AUDIT), v.minLength(1), v.maxLength(100)),
  /** What was not looked at, in words. */
  limitations: v.array(TEXT),
  digest: v.pipe(v.string(), v.regex(/^sha256:[0-9a-f]{64}$/)),
});

export type StoredGroup = v.InferOutput<typeof GROUP>;
/** A group without its count. */
export type ObjectGroup = StoredGroup extends infer G
  ? G extends unknown
    ? Omit<G, "objects">
    : never
  : never;
export type AuditSource = v.InferOutput<typeof SOURCE>;
export type SourceAudit = v.InferOutput<typeof AUDIT>;
export type KeyIdCount = SourceAudit["keyIds"][number];
export type Evidence = v.InferOutput<typeof EVIDENCE>;
type EvidenceBody = Omit<Evidence, "digest">;

/** The evidence with its digest. */
export function sealEvidence(body: EvidenceBody): Evidence {
  return { ...body, digest: digestOf(body) };
}

/** The file's text: JSON for people, ending in a line break. */
export function evidenceText(evidence: Evidence): string {
  return `${JSON.stringify(evidence, null, 2)}\n`;
}

/** Reads an evidence file. Throws AuditError `evidence_invalid`; `name` is the file's, for the message. */
export function decodeEvidence(bytes: Uint8Array, name: string): Evidence {
  const parsed = bytes.length > MAX_EVIDENCE_BYTES ? undefined : parseJson(bytes);
  const result = v.safeParse(EVIDENCE, parsed);
  if (!result.success) {
    const path = v.getDotPath(result.issues[0]);
    throw invalid(
      name,
      path === null ? "is not an evidence file" : `is not an evidence file: ${path} is wrong`,
    );
  }
  const { digest, ...body } = result.output;
  if (digestOf(body) !== digest) {
    throw invalid(name, "was changed after it was written: its digest is not that of its content");
  }
  const inconsistent = body.audits.some((audit) => !addsUp(audit));
  if (inconsistent) {
    throw invalid(name, "contradicts itself: its counts do not add up");
  }
  return result.output;
}

/** That the totals are the sums of their parts, per resource, per source and per key_id. */
function addsUp({ objects, resources, keyIds }: SourceAudit): boolean {
  const groups = resources.flatMap((resource) => resource.groups);
  const ours = groups.filter((group) => group.kind === "ours");
  return (
    totalOf(resources) === objects &&
    resources.every((resource) => totalOf(resource.groups) === resource.objects) &&
    totalOf(keyIds) === totalOf(ours) &&
    keyIds.every(
      ({ keyId, objects: count }) => totalOf(ours.filter((group) => group.keyId === keyId)) === count,
    )
  );
}

/** How many objects the parts have together. */
export function totalOf(parts: readonly { readonly objects: number }[]): number {
  return parts.reduce((total, { objects }) => total + objects, 0);
}

function digestOf(body: EvidenceBody): string {
  return `sha256:${createHash("sha256")
    .update(JSON.stringify(sortedCopy(body)))
    .digest("hex")}`;
}

function invalid(name: string, problem: string): Error {
  return auditError("evidence_invalid", {
    message: `${name} ${problem}`,
    advice: "run `bao-kms-provider audit --evidence-out FILE` again and use that file unchanged",
  });
}

/** The evidence in the words of rotation's plans. */
export function keyUsages({ audits, configuration }: Evidence): readonly Usage[] {
  return audits.map(({ source, resources, keyIds }) => ({
    name: source.kind === "etcd" ? `etcd cluster ${source.clusterId}` : source.file,
    kind: source.kind === "etcd" ? "live" : source.integrity === "verified" ? "snapshot" : "bare",
    readAtUnixMs: Date.parse(source.readAt),
    fingerprint: configuration?.fingerprint,
    objectsByKeyId: new Map(keyIds.map(({ keyId, objects }) => [keyId, objects])),
    statedVersions: new Map(keyIds.map(({ keyId, version }) => [keyId, version])),
    damaged: totalOf(
      resources
        .flatMap(({ groups }) => groups)
        .filter(({ kind }) => kind === "damaged" || kind === "unknown"),
    ),
    liveApiServers: source.kind === "etcd" ? source.apiServers : 0,
  }));
}
