/** @module What this process has seen of the key, and from when a finding counts. Pure; gone with the process. */
import type { Clock } from "../../base/clock.ts";
import type { KeyNames } from "../../openbao/transit/key-profile.ts";
import { FINDINGS, finding, isLost, type KeyAnswer, type KeyFinding } from "./finding.ts";

export interface RotationPolicy {
  /** How many successive probes must agree before something bad counts, and how often a new version must be seen. */
  readonly requireStableObservationCount: number;
  /** How long a new version must have been seen before it is promoted. */
  readonly activationDelayMs: number;
  /** The most that one restart can count toward the delay. */
  readonly probeIntervalMs: number;
  /** How the operator knows the key, for the advice. */
  readonly names: KeyNames;
}

/** Half the width of the jitter between two probes, as a part of the interval: nodes do not probe in step. */
export const PROBE_JITTER = 0.1;

/** How long after `activationDelayMs` a healthy node may take to promote a new version. */
export function noticeMs({ requireStableObservationCount, probeIntervalMs }: RotationPolicy): number {
  return (requireStableObservationCount + 1) * probeIntervalMs * (1 + PROBE_JITTER);
}

export interface Moment {
  readonly wallMs: number;
  readonly monotonicMs: number;
  readonly bootMs: number;
}

export function momentOf(clock: Clock): Moment {
  return { wallMs: clock.wallMs(), monotonicMs: clock.monotonicMs(), bootMs: clock.bootMs() };
}

/** What a probe learned. That OpenBao could not be asked is not here: it teaches nothing about the key. */
export type ProbeAnswer = KeyAnswer | { readonly kind: "missing" };

export interface ProbeHistory {
  /** What was wrong at the last probes, and how many of them in succession agree on it. */
  readonly counts: readonly CountedFinding[];
  /** When metadata last showed the active version as it must be; nothing is encrypted before that. */
  readonly soundAt?: Moment;
  /** When this process last saw the version that waits for promotion. */
  readonly observedAt?: { readonly version: number; readonly monotonicMs: number };
}

export interface CountedFinding {
  readonly finding: KeyFinding;
  readonly count: number;
}

export const NO_HISTORY: ProbeHistory = { counts: [] };

/** The marker of the active version was decrypted, or OpenBao refused to: counted like any other finding. */
export function withMarkerCheck(
  before: ProbeHistory,
  decrypted: boolean,
  version: number,
  { names }: RotationPolicy,
): ProbeHistory {
  const others = before.counts.filter((each) => each.finding.code !== "marker_refused");
  const count = 1 + (before.counts.find((each) => each.finding.code === "marker_refused")?.count ?? 0);
  return {
    ...before,
    counts: decrypted ? others : [...others, { finding: finding("marker_refused", names, version), count }],
  };
}

/** What counts now: confirmed by enough probes, or not of the kind that lag could explain. The gravest first. */
export function presentFindings({ counts }: ProbeHistory, policy: RotationPolicy): readonly KeyFinding[] {
  return counts
    .filter(
      (each) => each.count >= policy.requireStableObservationCount || !FINDINGS[each.finding.code].mayBeLag,
    )
    .map((each) => each.finding);
}

export function lostFinding({ counts }: ProbeHistory, policy: RotationPolicy): KeyFinding | undefined {
  return counts.find((each) => isLost(each.finding) && each.count >= policy.requireStableObservationCount)
    ?.finding;
}

/** The findings of one more probe. A refused marker stays: only a deep probe tells about it. */
export function updatedCounts(
  { counts }: ProbeHistory,
  findings: readonly KeyFinding[],
): readonly CountedFinding[] {
  return [
    ...findings.map((each) => ({
      finding: each,
      count: 1 + (counts.find((past) => past.finding.sameFindingKey === each.sameFindingKey)?.count ?? 0),
    })),
    ...counts.filter((past) => past.finding.code === "marker_refused"),
  ];
}

export function isConfirmed(
  counts: readonly CountedFinding[],
  code: KeyFinding["code"],
  policy: RotationPolicy,
): boolean {
  return counts.some(
    (each) => each.finding.code === code && each.count >= policy.requireStableObservationCount,
  );
}
