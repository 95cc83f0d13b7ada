/**
 * What one probe changes.
 *
 * @module A pure transition over the registry's content and what this process has seen so far. It decides what is recorded,
 * when a new version is due, and from when something bad counts; who asks, writes and waits is key-state.ts.
 */
import type { Clock } from "../../base/clock.ts";
import type { KeyMetadata } from "../../openbao/transit/key-metadata.ts";
import type { KeyNames } from "../../openbao/transit/key-profile.ts";
import type { KeyVersion } from "../identity/key-scope.ts";
import { withObservation, withRejected, withSeen } from "../registry/changes.ts";
import { activeVersion, type Observation, type RegistryContent, versionOf } from "../registry/record.ts";
import { assess, isLost, type KeyAnswer } from "./assess.ts";
import { FINDINGS, type Finding, finding } from "./finding.ts";

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

/** The three clocks at one moment. */
export interface Moment {
  readonly wallMs: number;
  readonly monotonicMs: number;
  readonly bootMs: number;
}

export function momentOf(clock: Clock): Moment {
  return { wallMs: clock.wallMs(), monotonicMs: clock.monotonicMs(), bootMs: clock.bootMs() };
}

/** What a probe learned. That OpenBao could not be asked is not here: it teaches nothing about the key. */
export type ProbeAnswer =
  | KeyAnswer
  /** OpenBao was asked and says that there is no such key. */
  | { readonly kind: "missing" };

/** What this process has seen of the key; gone with it. */
export interface Sightings {
  /** What was wrong at the last probes, and how many of them in succession agree on it. */
  readonly counts: readonly Sighting[];
  /** When metadata last showed the active version as it must be; nothing is encrypted before that. */
  readonly soundAt?: Moment;
  /** When this process last saw the version that is on its way to promotion. */
  readonly observedAt?: { readonly version: number; readonly monotonicMs: number };
}

export interface Sighting {
  readonly finding: Finding;
  readonly count: number;
}

export const NO_SIGHTINGS: Sightings = { counts: [] };

export interface Step {
  readonly content: RegistryContent;
  readonly sightings: Sightings;
  /** This version is due: it may be promoted once its marker was made, after `content` is durable. */
  readonly due?: KeyVersion;
}

export function observe(
  content: RegistryContent,
  before: Sightings,
  answer: ProbeAnswer,
  now: Moment,
  policy: RotationPolicy,
): Step {
  const findings =
    answer.kind === "missing"
      ? [finding("key_missing", policy.names)]
      : assess(content, answer, policy.names);
  const counts = countAgain(before, findings, "marker_refused");
  const sightings: Sightings = { ...before, counts };
  const judged = withConfirmedRejections(content, counts, now, policy);
  if (answer.kind === "missing" || findings.some(isLost)) {
    return { content: judged, sightings };
  }
  const sound: Sightings = { ...sightings, soundAt: now };
  if (!tellsOfVersions(counts, policy)) {
    const vanished = isConfirmed(counts, "latest_below_recorded", policy);
    return { content: vanished ? withObservation(judged, undefined) : judged, sightings: sound };
  }
  const unseen = answer.key.versions.filter((each) => versionOf(judged, each.version) === undefined);
  const complete = unseen.length === 0 ? judged : withSeen(judged, unseen, now.wallMs);
  // A version counts as observed only while nothing at all is wrong with the key.
  return counts.some((each) => each.finding.code !== "version_recreated")
    ? { content: complete, sightings: sound }
    : countObservation(complete, sound, answer.key, now, policy);
}

/** The marker of the active version was decrypted, or OpenBao refused to: counted like any other finding. */
export function observeMarker(
  before: Sightings,
  held: boolean,
  version: number,
  { names }: RotationPolicy,
): Sightings {
  const others = before.counts.filter((each) => each.finding.code !== "marker_refused");
  const count = 1 + (before.counts.find((each) => each.finding.code === "marker_refused")?.count ?? 0);
  return {
    ...before,
    counts: held ? others : [...others, { finding: finding("marker_refused", names, version), count }],
  };
}

/** What counts now: confirmed by enough probes, or not of the kind that lag could explain. The gravest first. */
export function presentFindings({ counts }: Sightings, policy: RotationPolicy): readonly Finding[] {
  return counts
    .filter(
      (each) => each.count >= policy.requireStableObservationCount || !FINDINGS[each.finding.code].mayBeLag,
    )
    .map((each) => each.finding);
}

/** The reason for which the active version is proven lost, if it is. */
export function lostFinding({ counts }: Sightings, policy: RotationPolicy): Finding | undefined {
  return counts.find((each) => isLost(each.finding) && each.count >= policy.requireStableObservationCount)
    ?.finding;
}

function countAgain(
  { counts }: Sightings,
  findings: readonly Finding[],
  kept: Finding["code"],
): readonly Sighting[] {
  return [
    ...findings.map((each) => ({
      finding: each,
      count: 1 + (counts.find((past) => past.finding.evidence === each.evidence)?.count ?? 0),
    })),
    ...counts.filter((past) => past.finding.code === kept),
  ];
}

function isConfirmed(counts: readonly Sighting[], code: Finding["code"], policy: RotationPolicy): boolean {
  return counts.some(
    (each) => each.finding.code === code && each.count >= policy.requireStableObservationCount,
  );
}

/** Whether this answer may add to the registry: not while it goes back, or contradicts it without being confirmed. */
function tellsOfVersions(counts: readonly Sighting[], policy: RotationPolicy): boolean {
  return !counts.some(
    ({ finding: { code }, count }) =>
      code === "latest_below_recorded" ||
      (code === "version_recreated" && count < policy.requireStableObservationCount),
  );
}

function withConfirmedRejections(
  content: RegistryContent,
  counts: readonly Sighting[],
  now: Moment,
  policy: RotationPolicy,
): RegistryContent {
  let result = content;
  for (const { finding: found, count } of counts) {
    const { recreated } = found;
    if (recreated !== undefined && count >= policy.requireStableObservationCount) {
      const known = result.versions.some(
        (each) => each.version === recreated.version && each.createdAtUnix === recreated.createdAtUnix,
      );
      result = known ? result : withRejected(result, recreated, now.wallMs);
      result =
        result.observation?.version === recreated.version ? withObservation(result, undefined) : result;
    }
  }
  return result;
}

function countObservation(
  content: RegistryContent,
  sightings: Sightings,
  key: KeyMetadata,
  now: Moment,
  policy: RotationPolicy,
): Step {
  const active = activeVersion(content);
  const latest = versionOf(content, key.latestVersion);
  const shown = key.versions.find((each) => each.version === key.latestVersion);
  if (
    latest === undefined ||
    latest.version === active.version ||
    latest.createdAtUnix !== shown?.createdAtUnix ||
    latest.state !== "pending"
  ) {
    return { content, sightings };
  }
  const { version, createdAtUnix } = latest;
  const past =
    content.observation?.version === version && content.observation.createdAtUnix === createdAtUnix
      ? content.observation
      : undefined;
  const seenNow: Sightings = { ...sightings, observedAt: { version, monotonicMs: now.monotonicMs } };
  if (past !== undefined && isDue(past, policy)) {
    return { content, sightings: seenNow, due: latest };
  }
  const observation: Observation = {
    ...past,
    version,
    createdAtUnix,
    count: (past?.count ?? 0) + 1,
    stableForMs: past === undefined ? 0 : past.stableForMs + provenMs(past, sightings, now, policy),
    lastSeenUnixMs: Math.max(0, Math.floor(now.wallMs)),
    lastSeenBootMs: Math.max(0, Math.floor(now.bootMs)),
  };
  return {
    content: withObservation(content, observation),
    sightings: seenNow,
    ...(isDue(observation, policy) ? { due: latest } : {}),
  };
}

function isDue({ count, stableForMs }: Observation, policy: RotationPolicy): boolean {
  return count >= policy.requireStableObservationCount && stableForMs >= policy.activationDelayMs;
}

/** The boot clock is exact to the second only. */
const BOOT_CLOCK_ERROR_MS = 1000;

/**
 * How much time has surely passed since the version was last seen: monotonic time when this process saw it, else the least
 * of what wall clock and boot clock say, at most one probe interval. A boot clock that went back was started anew, and
 * shows at least how long ago. So a clock that jumps can delay a promotion, never hasten it.
 */
function provenMs(past: Observation, { observedAt }: Sightings, now: Moment, policy: RotationPolicy): number {
  if (observedAt?.version === past.version) {
    return Math.max(0, now.monotonicMs - observedAt.monotonicMs);
  }
  const sinceBoot = now.bootMs >= past.lastSeenBootMs ? now.bootMs - past.lastSeenBootMs : now.bootMs;
  const proven = Math.min(now.wallMs - past.lastSeenUnixMs, sinceBoot - BOOT_CLOCK_ERROR_MS);
  return Math.min(Math.max(0, proven), policy.probeIntervalMs);
}
