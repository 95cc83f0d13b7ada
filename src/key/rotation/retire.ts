/**
 * Which versions retire-versions and restore-versions may change.
 *
 * @module Pure decisions over the registry alone. Whether anything stored still needs a version is the audit's evidence,
 * which the command holds against this plan.
 */
import { activeVersion, type RegistryContent, type VersionRecord } from "../registry/record.ts";

export type RetirementRefusal =
  /** The active version and those above it stay. */
  | "not_below_active"
  /** Another node may be about to promote it, or write under it already. */
  | "version_pending"
  /** Nothing retired lies below that version. */
  | "nothing_to_remove"
  /** Not one of the versions asked for is removed. */
  | "nothing_to_restore"
  | "version_unknown";

export type RetirementPlan =
  | { readonly kind: "plan"; readonly versions: readonly VersionRecord[] }
  | { readonly kind: "refused"; readonly reason: RetirementRefusal; readonly version: number };

/** What `retire-versions --before-version` would remove: every retired version below it. */
export function planRetirement(content: RegistryContent, beforeVersion: number): RetirementPlan {
  const active = activeVersion(content).version;
  if (beforeVersion > active) {
    return { kind: "refused", reason: "not_below_active", version: active };
  }
  const pending = content.versions.find((each) => each.state === "pending");
  if (pending !== undefined) {
    return { kind: "refused", reason: "version_pending", version: pending.version };
  }
  const versions = content.versions.filter(
    (each) => each.state === "retired" && each.version < beforeVersion,
  );
  return versions.length === 0
    ? { kind: "refused", reason: "nothing_to_remove", version: beforeVersion }
    : { kind: "plan", versions };
}

/** What `restore-versions --versions` would bring back; a version that is retired already is no error. */
export function planRestoration(content: RegistryContent, wanted: readonly number[]): RetirementPlan {
  const unknown = wanted.find(
    (version) => !content.versions.some((each) => each.version === version && each.state !== "rejected"),
  );
  if (unknown !== undefined) {
    return { kind: "refused", reason: "version_unknown", version: unknown };
  }
  const versions = content.versions.filter(
    (each) => each.state === "removed" && wanted.includes(each.version),
  );
  return versions.length === 0
    ? { kind: "refused", reason: "nothing_to_restore", version: wanted[0] ?? 0 }
    : { kind: "plan", versions };
}
