/** @module How a node without a registry begins (`bootstrap.missingState`). Pure; live-key-writer.ts writes the registry. */
import { formatDuration } from "../../base/duration.ts";
import type { ProviderError } from "../../base/error-class.ts";
import type { KeyMetadata, KeyVersion } from "../../openbao/transit/key-metadata.ts";
import { profileDrifts } from "../../openbao/transit/key-profile.ts";
import { refusal } from "../registry/errors.ts";
import { RotationError } from "./errors.ts";
import { assessProfile, finding, type KeyFinding, profileFinding } from "./finding.ts";
import { noticeMs, type ProbeAnswer, type RotationPolicy } from "./probe-history.ts";

export interface BootstrapPolicy extends RotationPolicy {
  /** What a node does that has neither registry nor checkpoint while the key was rotated. */
  readonly missingState: "refuse" | "observe";
}

/** What successive probes of a node without a registry agree on. */
export interface Candidate {
  readonly active: KeyVersion;
  readonly latestVersion: number;
  readonly count: number;
}

export type BootstrapStep =
  /** `observed`: what other nodes use is inferred from the key alone, and the registry records that. */
  | { readonly kind: "begin"; readonly active: KeyVersion; readonly observed: boolean }
  | { readonly kind: "wait"; readonly candidate?: Candidate; readonly reason: ProviderError };

/** OpenBao tells both times to the second only. */
const CLOCK_ERROR_MS = 1000;

export function bootstrapStep(
  answer: ProbeAnswer,
  before: Candidate | undefined,
  statePath: string,
  policy: BootstrapPolicy,
): BootstrapStep {
  const { names } = policy;
  if (answer.kind === "missing") {
    return { kind: "wait", reason: notFit(finding("key_missing", names)) };
  }
  const { key } = answer;
  const wrongType = profileDrifts(key, names).find(({ code }) => code === "wrong_type");
  if (wrongType !== undefined) {
    return { kind: "wait", reason: notFit(profileFinding(wrongType)) };
  }
  const chosen = policy.missingState === "refuse" ? onlyVersion(key, statePath) : observedActive(key, policy);
  if ("reason" in chosen) {
    return { kind: "wait", reason: chosen.reason };
  }
  const { active, isNew } = chosen;
  const [wrong] = assessProfile(answer, names, active.version);
  if (wrong !== undefined) {
    return { kind: "wait", reason: notFit(wrong) };
  }
  if (isNew) {
    return { kind: "begin", active, observed: false };
  }
  const candidate = countCandidate(before, active, key.latestVersion);
  return candidate.count >= policy.requireStableObservationCount
    ? { kind: "begin", active, observed: true }
    : {
        kind: "wait",
        candidate,
        reason: observing(
          `${candidate.count} of ${policy.requireStableObservationCount} probes agree that version ${active.version} is active`,
        ),
      };
}

interface Chosen {
  readonly active: KeyVersion;
  /** No other version can have been active on any node. */
  readonly isNew: boolean;
}

interface NotYet {
  readonly reason: ProviderError;
}

function onlyVersion(key: KeyMetadata, statePath: string): Chosen | NotYet {
  const [first] = key.versions;
  return first?.version === 1 && key.latestVersion === 1
    ? { active: first, isNew: true }
    : { reason: refusal("registry_rotated_without_state", statePath) };
}

/**
 * The newest version that some node may have promoted, once every node has had the time to promote it: so this node never
 * starts below what it used before it lost its memory. Version 1 needs no promotion.
 */
function observedActive({ versions, answeredAtMs }: KeyMetadata, policy: RotationPolicy): Chosen | NotYet {
  const { activationDelayMs } = policy;
  const ageMs = ({ createdAtUnix }: KeyVersion): number =>
    (answeredAtMs ?? Number.NaN) - createdAtUnix * 1000;
  const active = versions.findLast(
    (each) => each.version === 1 || ageMs(each) >= activationDelayMs - CLOCK_ERROR_MS,
  );
  if (answeredAtMs === undefined && versions.some(({ version }) => version > 1)) {
    return { reason: openbaoTimeUnknown() };
  }
  if (active === undefined) {
    return { reason: observing("no version is old enough to be active on any node") };
  }
  const settledMs = activationDelayMs + noticeMs(policy) + CLOCK_ERROR_MS;
  return active.version === 1 || ageMs(active) >= settledMs
    ? { active, isNew: active.version === 1 && ageMs(active) < activationDelayMs - CLOCK_ERROR_MS }
    : {
        reason: observing(
          `other nodes may be promoting version ${active.version}; that is over in ${formatDuration(settledMs - ageMs(active))}`,
        ),
      };
}

function countCandidate(before: Candidate | undefined, active: KeyVersion, latestVersion: number): Candidate {
  const agrees =
    before !== undefined &&
    before.active.version === active.version &&
    before.active.createdAtUnix === active.createdAtUnix &&
    before.latestVersion <= latestVersion;
  return { active, latestVersion, count: agrees ? before.count + 1 : 1 };
}

function notFit(found: KeyFinding): RotationError {
  return new RotationError({
    code: "no_key_version",
    errorClass: found.code === "key_missing" ? "transit_key_missing" : "status_stale",
    message: `a first registry cannot be made: ${found.message}`,
    advice: found.advice,
  });
}

function observing(detail: string): RotationError {
  return new RotationError({
    code: "registry_observing",
    errorClass: "status_stale",
    message: `this node has no registry and observes the key before it encrypts (bootstrap.missingState): ${detail}`,
  });
}

function openbaoTimeUnknown(): RotationError {
  return new RotationError({
    code: "openbao_time_unknown",
    errorClass: "openbao_unavailable",
    message:
      "this node has no registry, and OpenBao's answers have no Date header, from which the age of a version is computed",
    advice: "check whether a proxy in front of OpenBao removes the Date header",
  });
}
