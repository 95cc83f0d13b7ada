/** @module The words for a group of stored objects, for text and HTML. */
import { assertNever } from "../base/assert-never.ts";
import { visible } from "../base/visible-text.ts";
import type { ObjectGroup, SourceAudit } from "./evidence.ts";

/** What a reader should think of a group: ours on a version, not ours but encrypted, readable, or not to be trusted. */
export type GroupTone = "ours" | "other" | "plain" | "bad";

interface GroupLabel {
  readonly text: string;
  readonly tone: GroupTone;
  /** The key_id or key name, or empty. */
  readonly key: string;
}

/** The words for a group, in visible characters whatever stands in etcd. */
export function groupLabel(group: ObjectGroup): GroupLabel {
  const { text, tone, key } = rawLabel(group);
  return { text: visible(text), tone, key: visible(key) };
}

function rawLabel(group: ObjectGroup): GroupLabel {
  switch (group.kind) {
    case "ours":
      return {
        text: `version ${group.version}${group.versionFrom === "stated" ? " (not derived)" : ""}`,
        tone: "ours",
        key: group.keyId,
      };
    case "kms_v2_other":
      return { text: `KMS v2 provider ${group.provider}`, tone: "other", key: group.keyId };
    case "kms_v1":
      return { text: `KMS v1 provider ${group.provider}`, tone: "other", key: "" };
    case "local_key":
      return { text: `${group.transformer} in the file`, tone: "other", key: group.keyName };
    case "plaintext":
      return { text: "plaintext", tone: "plain", key: "" };
    case "damaged":
      return { text: `damaged or foreign envelope, provider ${group.provider}`, tone: "bad", key: "" };
    case "unknown":
      return { text: "unknown encryption marker", tone: "bad", key: "" };
    default:
      return assertNever(group);
  }
}

/** Splits off the resources that a report lists: Secrets, and whatever has at least one encrypted object. */
export function reportedResources({ resources }: SourceAudit): {
  readonly listed: SourceAudit["resources"];
  readonly plaintextOnly: SourceAudit["resources"];
} {
  const isListed = ({ resource, groups }: SourceAudit["resources"][number]): boolean =>
    resource === "secrets" || groups.some(({ kind }) => kind !== "plaintext");
  return {
    listed: resources.filter(isListed),
    plaintextOnly: resources.filter((resource) => !isListed(resource)),
  };
}

/** One line on where the objects were read. */
export function sourceLabel({ source }: SourceAudit): string {
  if (source.kind === "etcd") {
    return `etcd cluster ${source.clusterId} at revision ${source.revision}, read ${source.readAt}`;
  }
  const proof = source.integrity === "verified" ? "digest verified" : "no digest: for reports only";
  return `snapshot ${visible(source.file)} at revision ${source.revision} (${proof})`;
}

/** 1234567 is `1,234,567`. */
export function grouped(count: number): string {
  return count.toLocaleString("en-US");
}
