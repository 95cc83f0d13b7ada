/** @module The changes that a registry can undergo, as pure functions from one content to the next. */

import type { KeyVersion } from "../../openbao/transit/key-metadata.ts";
import type { IdentityHashes } from "../identity/fingerprint.ts";
import {
  activeVersion,
  type Observation,
  type RegistryContent,
  type RegistryNote,
  type VersionRecord,
  type VersionState,
} from "./record.ts";

interface FirstVersion extends KeyVersion {
  readonly marker: string;
}

export function firstContent(
  identity: IdentityHashes,
  fingerprint: string,
  { version, createdAtUnix, marker }: FirstVersion,
  nowUnixMs: number,
): RegistryContent {
  return {
    identity,
    fingerprint,
    versions: [
      {
        version,
        createdAtUnix,
        state: "active",
        firstSeenUnixMs: nowUnixMs,
        activatedUnixMs: nowUnixMs,
        marker,
      },
    ],
  };
}

/** The first record of a node that had none while the key was rotated: all versions that OpenBao shows, and a note. */
export function withObservedStart(
  first: RegistryContent,
  shown: readonly KeyVersion[],
  nowUnixMs: number,
): RegistryContent {
  const active = activeVersion(first).version;
  const others = shown.filter(({ version }) => version !== active);
  const reason =
    "no registry and no checkpoint: the active version was inferred from the age of the versions";
  return {
    ...withNewVersions(first, others, nowUnixMs),
    notes: [{ atUnixMs: nowUnixMs, kind: "observed", by: "serve", reason }],
  };
}

/** Adds versions that were seen for the first time: pending above the active one, retired below it. */
export function withNewVersions(
  content: RegistryContent,
  seen: readonly KeyVersion[],
  nowUnixMs: number,
): RegistryContent {
  const active = activeVersion(content).version;
  return withVersions(
    content,
    seen.map(({ version, createdAtUnix }) => ({
      version,
      createdAtUnix,
      state: version > active ? "pending" : "retired",
      firstSeenUnixMs: nowUnixMs,
    })),
  );
}

export function withRejected(
  content: RegistryContent,
  { version, createdAtUnix }: KeyVersion,
  nowUnixMs: number,
): RegistryContent {
  return withVersions(content, [{ version, createdAtUnix, state: "rejected", firstSeenUnixMs: nowUnixMs }]);
}

function withVersions(content: RegistryContent, added: readonly VersionRecord[]): RegistryContent {
  return {
    ...content,
    versions: [...content.versions, ...added].sort(
      (a, b) => a.version - b.version || a.createdAtUnix - b.createdAtUnix,
    ),
  };
}

/** Versions that nothing needs any more: Decrypt refuses them from now on. Only retired ones change. */
export function withRemoved(
  content: RegistryContent,
  versions: readonly number[],
  note?: RegistryNote,
): RegistryContent {
  return withState(content, versions, "retired", "removed", note);
}

/** Reverses {@link withRemoved}. */
export function withRestored(
  content: RegistryContent,
  versions: readonly number[],
  note?: RegistryNote,
): RegistryContent {
  return withState(content, versions, "removed", "retired", note);
}

function withState(
  content: RegistryContent,
  versions: readonly number[],
  from: VersionState,
  to: VersionState,
  note: RegistryNote | undefined,
): RegistryContent {
  return {
    ...content,
    versions: content.versions.map((each) =>
      each.state === from && versions.includes(each.version) ? { ...each, state: to } : each,
    ),
    ...(note === undefined ? {} : { notes: [...(content.notes ?? []), note] }),
  };
}

export function withObservation(
  content: RegistryContent,
  observation: Observation | undefined,
): RegistryContent {
  const { observation: _before, ...rest } = content;
  return observation === undefined ? rest : { ...rest, observation };
}

export function withActiveMarker(content: RegistryContent, marker: string): RegistryContent {
  return {
    ...content,
    versions: content.versions.map((each) =>
      each.state === "active" && each.marker === undefined ? { ...each, marker } : each,
    ),
  };
}

/** The swap: the version becomes active with its marker, the active one and all that were skipped become retired. */
export function withPromoted(
  content: RegistryContent,
  { version, createdAtUnix, marker }: FirstVersion,
  nowUnixMs: number,
): RegistryContent {
  const versions = content.versions.map((each): VersionRecord => {
    if (each.version === version && each.createdAtUnix === createdAtUnix && each.state === "pending") {
      return { ...each, state: "active", activatedUnixMs: nowUnixMs, marker };
    }
    const superseded = each.state === "active" || (each.state === "pending" && each.version < version);
    return superseded ? { ...each, state: "retired" } : each;
  });
  return withObservation({ ...content, versions }, undefined);
}
