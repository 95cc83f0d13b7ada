/** @module The types and limits of a registry, and its rules: of every record, and of every step from one to the next. */

import type { KeyVersion } from "../../openbao/transit/key-metadata.ts";
import { IDENTITY_FIELDS, type IdentityHashes } from "../identity/fingerprint.ts";

/**
 * - `active`: what Status shows and Encrypt uses; exactly one.
 * - `pending`: seen, not promoted yet; Decrypt only.
 * - `retired`: superseded, or skipped between two promotions; Decrypt only.
 * - `removed`: retire-versions was told that nothing needs it; Decrypt is refused.
 * - `rejected`: contradicts another entry of the same number (its creation time differs); never used.
 */
export const VERSION_STATES = ["active", "pending", "retired", "removed", "rejected"] as const;
export type VersionState = (typeof VERSION_STATES)[number];

/** One version ever seen. Number and creation time stay forever, since Transit's own map hides old versions. */
export interface VersionRecord extends KeyVersion {
  readonly state: VersionState;
  readonly firstSeenUnixMs: number;
  readonly activatedUnixMs?: number;
  /** Canonical Transit ciphertext of the marker, made when the version became active; proves later that it decrypts. */
  readonly marker?: string;
}

/** The progress of a new latest version towards promotion; kept over restarts. */
export interface Observation extends KeyVersion {
  readonly count: number;
  /** Time for which it has been seen, as far as it can be proven; never more than has really passed. */
  readonly stableForMs: number;
  readonly lastSeenUnixMs: number;
  /** CLOCK_BOOTTIME at the same moment: with it a wall clock that jumps cannot hasten a promotion over a restart. */
  readonly lastSeenBootMs: number;
}

/** A decision of a person that the registry keeps forever: who, why, when. */
export interface RegistryNote {
  readonly atUnixMs: number;
  readonly kind: string;
  readonly by: string;
  readonly reason: string;
}

/** What a change decides; generation and hash chain are the store's. Fields of a newer minor release ride along unseen. */
export interface RegistryContent {
  readonly identity: IdentityHashes;
  /** For people; comparable between nodes. Says nothing beyond `identity`. */
  readonly fingerprint: string;
  /** Ascending by number, then by creation time. */
  readonly versions: readonly VersionRecord[];
  readonly observation?: Observation;
  readonly notes?: readonly RegistryNote[];
}

export interface RegistryRecord extends RegistryContent {
  readonly generation: number;
  /** Hashes of the records before this one, oldest first, at most {@link MAX_CHAIN}. */
  readonly previousHashes: readonly string[];
}

export function checkpointPath(statePath: string): string {
  return `${statePath}.checkpoint`;
}

/** How many writes of commands a daemon can adopt at once, without a restart. */
export const MAX_CHAIN = 32;

export const MAX_REGISTRY_BYTES = 4 * 1024 * 1024;

/** The active version; a valid record always has one. */
export function activeVersion(content: RegistryContent): VersionRecord {
  const active = content.versions.find((each) => each.state === "active");
  if (active === undefined) {
    throw new TypeError("a registry record without an active version escaped its invariants");
  }
  return active;
}

export type RegistryOrigin = "first_version" | "observed" | "rebuilt";

export function originOf({ notes }: RegistryContent): RegistryOrigin {
  const kind = notes?.[0]?.kind;
  return kind === "observed" || kind === "rebuilt" ? kind : "first_version";
}

/** The entry of a number that is not rejected; at most one exists. */
export function versionOf(content: RegistryContent, version: number): VersionRecord | undefined {
  return content.versions.find((each) => each.version === version && each.state !== "rejected");
}

/** The first rule that the record breaks, for the operator; `undefined` when it breaks none. */
export function recordProblem(record: RegistryRecord): string | undefined {
  if (record.previousHashes.length !== Math.min(record.generation - 1, MAX_CHAIN)) {
    return `generation ${record.generation} does not fit a chain of ${record.previousHashes.length} hashes`;
  }
  return versionsProblem(record.versions) ?? observationProblem(record);
}

function versionsProblem(versions: readonly VersionRecord[]): string | undefined {
  const active = versions.filter((each) => each.state === "active");
  const [current] = active;
  if (current === undefined || active.length > 1) {
    return `${active.length} versions are active, not exactly one`;
  }
  const accepted = new Set<number>();
  let previous: VersionRecord | undefined;
  for (const each of versions) {
    if (previous !== undefined && !isBefore(previous, each)) {
      return `version ${each.version} is out of order or listed twice`;
    }
    previous = each;
    if (each.state === "rejected") {
      continue;
    }
    if (accepted.has(each.version)) {
      return `version ${each.version} is accepted with two creation times`;
    }
    accepted.add(each.version);
    if (each.state === "pending" && each.version < current.version) {
      return `version ${each.version} is pending below the active version ${current.version}`;
    }
    if ((each.state === "retired" || each.state === "removed") && each.version > current.version) {
      return `version ${each.version} is ${each.state} above the active version ${current.version}`;
    }
  }
  const alone = versions.find((each) => each.state === "rejected" && !accepted.has(each.version));
  return alone === undefined ? undefined : `version ${alone.version} is rejected but contradicts nothing`;
}

function isBefore(a: VersionRecord, b: VersionRecord): boolean {
  return a.version < b.version || (a.version === b.version && a.createdAtUnix < b.createdAtUnix);
}

function observationProblem({ observation, versions }: RegistryContent): string | undefined {
  if (observation === undefined) {
    return undefined;
  }
  const observed = versions.find(
    (each) => each.version === observation.version && each.createdAtUnix === observation.createdAtUnix,
  );
  return observed?.state === "pending"
    ? undefined
    : `version ${observation.version} is observed but not pending`;
}

/** The first rule that the step breaks: the active version never goes back, and nothing ever seen is forgotten. */
export function successorProblem(before: RegistryContent, after: RegistryContent): string | undefined {
  const from = activeVersion(before);
  const to = activeVersion(after);
  if (to.version < from.version) {
    return `the active version would go back from ${from.version} to ${to.version}`;
  }
  const known = new Map(after.versions.map((each) => [`${each.version}/${each.createdAtUnix}`, each]));
  for (const each of before.versions) {
    const now = known.get(`${each.version}/${each.createdAtUnix}`);
    if (now === undefined) {
      return `version ${each.version} would be forgotten`;
    }
    if ((now.state === "rejected") !== (each.state === "rejected")) {
      return `version ${each.version} would change from ${each.state} to ${now.state}`;
    }
    if (each.marker !== undefined && now.marker === undefined) {
      return `the marker of version ${each.version} would be forgotten`;
    }
  }
  const [notes, kept] = [before.notes ?? [], after.notes ?? []];
  if (notes.some((note, index) => JSON.stringify(note) !== JSON.stringify(kept[index]))) {
    return "a note would be forgotten";
  }
  const changed = IDENTITY_FIELDS.find((field) => after.identity[field] !== before.identity[field]);
  return changed === undefined ? undefined : `the identity would change in ${changed}`;
}
