/** @module The types and limits of the registry. Nothing in it is secret, and nothing is bound to a node. */

import type { KeyVersion } from "../../openbao/transit/key-metadata.ts";
import type { IdentityHashes } from "../identity/fingerprint.ts";

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
