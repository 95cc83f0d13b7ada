/** @module Which stored objects a rotation still has to rewrite: one rule for lists, verify-rotation and migrate. */
import { assertNever } from "../base/assert-never.ts";
import type { ObjectGroup } from "./evidence.ts";

/**
 * Ours under another key_id than the active one, or not ours at all in a resource that should be encrypted. A damaged
 * or unknown value is stale too, but migrate cannot repair it: kube-apiserver cannot read it.
 */
export function isStale(
  { resource, group }: { readonly resource: string; readonly group: ObjectGroup },
  activeKeyId: string,
  encryptedResources: ReadonlySet<string>,
): boolean {
  switch (group.kind) {
    case "ours":
      return group.keyId !== activeKeyId;
    case "plaintext":
      return encryptedResources.has(resource);
    case "local_key":
    case "kms_v1":
    case "kms_v2_other":
      return encryptedResources.has(resource);
    case "damaged":
    case "unknown":
      return true;
    default:
      return assertNever(group);
  }
}

/** Whether a rewrite through kube-apiserver can repair it. */
export function canBeRewritten(group: ObjectGroup): boolean {
  return group.kind !== "damaged" && group.kind !== "unknown";
}
