/** @module What one probe changes in the registry, and when a pending version is promoted. Pure. */
import type { KeyMetadata, KeyVersion } from "../../openbao/transit/key-metadata.ts";
import { withNewVersions, withObservation, withRejected } from "../registry/changes.ts";
import { type Observation, type RegistryContent, versionOf } from "../registry/record.ts";
import { assess, finding, isLost } from "./finding.ts";
import {
  type CountedFinding,
  isConfirmed,
  type Moment,
  type ProbeAnswer,
  type ProbeHistory,
  type RotationPolicy,
  updatedCounts,
} from "./probe-history.ts";

interface Step {
  readonly content: RegistryContent;
  readonly history: ProbeHistory;
  /** This version is due: it may be promoted once its marker was made, after `content` is durable. */
  readonly due?: KeyVersion;
}

export function observe(
  content: RegistryContent,
  before: ProbeHistory,
  answer: ProbeAnswer,
  now: Moment,
  policy: RotationPolicy,
): Step {
  const findings =
    answer.kind === "missing"
      ? [finding("key_missing", policy.names)]
      : assess(content, answer, policy.names);
  const counts = updatedCounts(before, findings);
  const history: ProbeHistory = { ...before, counts };
  const judged = withConfirmedRejections(content, counts, now, policy);
  if (answer.kind === "missing" || findings.some(isLost)) {
    return { content: judged, history };
  }
  const sound: ProbeHistory = { ...history, soundAt: now };
  if (!mayRecordVersions(counts, policy)) {
    const vanished = isConfirmed(counts, "latest_below_recorded", policy);
    return { content: vanished ? withObservation(judged, undefined) : judged, history: sound };
  }
  const unseen = answer.key.versions.filter((each) => versionOf(judged, each.version) === undefined);
  const complete = unseen.length === 0 ? judged : withNewVersions(judged, unseen, now.wallMs);
  // A version counts as observed only while nothing at all is wrong with the key.
  return counts.some((each) => each.finding.code !== "version_recreated")
    ? { content: complete, history: sound }
    : countObservation(complete, sound, answer.key, now, policy);
}

/** Whether this answer may add to the registry: not while it goes back, or contradicts it without being confirmed. */
function mayRecordVersions(counts: readonly CountedFinding[], policy: RotationPolicy): boolean {
  return !counts.some(
    ({ finding: { code }, count }) =>
      code === "latest_below_recorded" ||
      (code === "version_recreated" && count < policy.requireStableObservationCount),
  );
}

function withConfirmedRejections(
  content: RegistryContent,
  counts: readonly CountedFinding[],
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
  history: ProbeHistory,
  key: KeyMetadata,
  now: Moment,
  policy: RotationPolicy,
): Step {
  const latest = versionOf(content, key.latestVersion);
  const shown = key.versions.find((each) => each.version === key.latestVersion);
  if (latest === undefined || latest.createdAtUnix !== shown?.createdAtUnix || latest.state !== "pending") {
    return { content, history };
  }
  const { version, createdAtUnix } = latest;
  const past = content.observation?.version === version ? content.observation : undefined;
  const seenNow: ProbeHistory = { ...history, observedAt: { version, monotonicMs: now.monotonicMs } };
  if (past !== undefined && isDue(past, policy)) {
    return { content, history: seenNow, due: latest };
  }
  const observation: Observation = {
    ...past,
    version,
    createdAtUnix,
    count: (past?.count ?? 0) + 1,
    stableForMs: past === undefined ? 0 : past.stableForMs + provenMs(past, history, now, policy),
    lastSeenUnixMs: Math.max(0, Math.floor(now.wallMs)),
    lastSeenBootMs: Math.max(0, Math.floor(now.bootMs)),
  };
  return {
    content: withObservation(content, observation),
    history: seenNow,
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
function provenMs(
  past: Observation,
  { observedAt }: ProbeHistory,
  now: Moment,
  policy: RotationPolicy,
): number {
  if (observedAt?.version === past.version) {
    return Math.max(0, now.monotonicMs - observedAt.monotonicMs);
  }
  const sinceBoot = now.bootMs >= past.lastSeenBootMs ? now.bootMs - past.lastSeenBootMs : now.bootMs;
  const proven = Math.min(now.wallMs - past.lastSeenUnixMs, sinceBoot - BOOT_CLOCK_ERROR_MS);
  return Math.min(Math.max(0, proven), policy.probeIntervalMs);
}
