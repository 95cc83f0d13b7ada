/** @module Where a rotation is, for people: what is active, what is pending, what blocks it. Pure. */
import { deriveKeyId } from "../identity/key-id.ts";
import type { KeyScope } from "../identity/key-scope.ts";
import type { StoredRecord } from "../registry/read-state.ts";
import { activeVersion, originOf, type RegistryOrigin, type VersionState } from "../registry/record.ts";
import { assess, FINDINGS, finding, type KeyFinding } from "./finding.ts";
import type { ProbeAnswer, RotationPolicy } from "./probe-history.ts";

export interface PlannedVersion {
  readonly version: number;
  readonly createdAtUnix: number;
  readonly keyId: string;
  readonly state: VersionState;
  /** Whether the key shows it now; absent when OpenBao was not asked. */
  readonly shown?: boolean;
  /** A marker is kept, so it can be proven that the version decrypts. */
  readonly hasMarker: boolean;
}

export type RotationStep =
  | { readonly kind: "none" }
  /** A newer version was seen; the running provider counts it at its next probe. */
  | { readonly kind: "observe"; readonly version: number }
  /** It is being observed: so many probes and so much time at least are missing. */
  | {
      readonly kind: "wait";
      readonly version: number;
      readonly missingObservations: number;
      readonly missingMs: number;
      /** Milliseconds until the earliest promotion, when the provider runs and all stays well. */
      readonly earliestInMs: number;
    }
  | { readonly kind: "promote"; readonly version: number }
  /** Nothing is observed or promoted while this is so. */
  | { readonly kind: "blocked"; readonly by: readonly KeyFinding[] };

export interface RotationReport {
  readonly registry: {
    readonly generation: number;
    readonly hash: string;
    readonly checkpoint: "current" | "behind";
    readonly fingerprint: string;
    readonly origin: RegistryOrigin;
  };
  readonly activeVersion: number;
  readonly latestVersion?: number;
  readonly versions: readonly PlannedVersion[];
  readonly next: RotationStep;
  readonly findings: readonly KeyFinding[];
}

/** The report; `answer` is absent when OpenBao could not be asked, and the report then rests on the registry alone. */
export function planRotation(
  scope: KeyScope,
  { record, hash, checkpoint }: StoredRecord,
  answer: ProbeAnswer | undefined,
  policy: RotationPolicy,
): RotationReport {
  const key = answer?.kind === "key" ? answer.key : undefined;
  const findings = findingsOf(record, answer, policy);
  return {
    registry: {
      generation: record.generation,
      hash,
      checkpoint,
      fingerprint: record.fingerprint,
      origin: originOf(record),
    },
    activeVersion: activeVersion(record).version,
    ...(key === undefined ? {} : { latestVersion: key.latestVersion }),
    versions: record.versions.map(({ version, createdAtUnix, state, marker }) => ({
      version,
      createdAtUnix,
      keyId: deriveKeyId(scope, { version, createdAtUnix }),
      state,
      ...(key === undefined
        ? {}
        : {
            shown: key.versions.some(
              (each) => each.version === version && each.createdAtUnix === createdAtUnix,
            ),
          }),
      hasMarker: marker !== undefined,
    })),
    next: nextStep(record, key?.latestVersion, findings, policy),
    findings,
  };
}

function findingsOf(
  record: StoredRecord["record"],
  answer: ProbeAnswer | undefined,
  policy: RotationPolicy,
): readonly KeyFinding[] {
  switch (answer?.kind) {
    case undefined:
      return [];
    case "missing":
      return [finding("key_missing", policy.names)];
    case "key":
      return assess(record, answer, policy.names);
  }
}

function nextStep(
  { versions, observation }: StoredRecord["record"],
  latestVersion: number | undefined,
  findings: readonly KeyFinding[],
  policy: RotationPolicy,
): RotationStep {
  const blocking = findings.filter(
    ({ code }) => FINDINGS[code].effect !== "notice" || code === "latest_below_recorded",
  );
  if (blocking.length > 0) {
    return { kind: "blocked", by: blocking };
  }
  const active = versions.find((each) => each.state === "active")?.version ?? 0;
  const highest = versions.findLast((each) => each.state === "pending")?.version ?? active;
  const latest = Math.max(latestVersion ?? active, highest);
  if (latest === active) {
    return { kind: "none" };
  }
  if (observation === undefined || observation.version !== latest) {
    return { kind: "observe", version: latest };
  }
  const missingObservations = Math.max(0, policy.requireStableObservationCount - observation.count);
  const missingMs = Math.max(0, policy.activationDelayMs - observation.stableForMs);
  return missingObservations === 0 && missingMs === 0
    ? { kind: "promote", version: latest }
    : {
        kind: "wait",
        version: latest,
        missingObservations,
        missingMs,
        earliestInMs: Math.max(missingMs, missingObservations * policy.probeIntervalMs),
      };
}
