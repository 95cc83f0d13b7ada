/** @module What Status, health and metrics show of the live key, which version encrypts, and why not. Pure questions to one state. */
import type { Clock } from "../../base/clock.ts";
import type { ErrorClass, ProviderError } from "../../base/error-class.ts";
import type { KeyVersion } from "../../openbao/transit/key-metadata.ts";
import { hashText } from "../identity/key-scope.ts";
import { type Observation, originOf, type RegistryOrigin } from "../registry/record.ts";
import { RotationError } from "./errors.ts";
import { FINDINGS, finding, type KeyFinding } from "./finding.ts";
import type { KeyHandle } from "./key-handles.ts";
import type { LiveKey, LiveState } from "./live-state.ts";
import { lostFinding, presentFindings, type RotationPolicy } from "./probe-history.ts";

export interface StatusPolicy extends RotationPolicy {
  /** Without sound metadata for longer than this, Status is not `ok`. */
  readonly statusMaxStalenessMs: number;
  /** What Status does while OpenBao cannot be asked or refuses. */
  readonly outage: "keep-writing" | "fail";
}

export type KeyStatus =
  /** No key version is known: there is no registry, and none could be made yet. */
  | { readonly kind: "none"; readonly errorClass: ErrorClass }
  /** The active version is proven lost: nothing more may be written under it. */
  | { readonly kind: "lost"; readonly errorClass: ErrorClass }
  /** OpenBao cannot be asked or refuses, and an outage is configured to fail Status. */
  | { readonly kind: "outage"; readonly errorClass: ErrorClass }
  /** `healthz` is `ok` or one generic word. */
  | { readonly kind: "known"; readonly keyId: string; readonly healthz: string };

const HEALTHY = "ok";

/**
 * kube-apiserver stops being ready while `healthz` is not `ok`, all of a control plane at once; one failed probe alone,
 * which is tried again soon, is no reason for that.
 */
const FAILURES_BEFORE_REASON = 2;

export function keyStatus(state: LiveState, clock: Clock, policy: StatusPolicy): KeyStatus {
  const { key, history } = state;
  if (key === undefined) {
    return { kind: "none", errorClass: failureClass(state) };
  }
  if (lostFinding(history, policy) !== undefined) {
    return { kind: "lost", errorClass: "transit_key_missing" };
  }
  const { healthz, outage } = healthOf(state, clock, policy);
  return outage !== undefined && policy.outage === "fail"
    ? { kind: "outage", errorClass: outage }
    : { kind: "known", keyId: key.active.keyId, healthz };
}

/** The one word of Status, `ok` when nothing is wrong; `outage` when OpenBao is what is wrong, and not the key. */
function healthOf(
  state: LiveState,
  clock: Clock,
  policy: StatusPolicy,
): { readonly healthz: string; readonly outage?: ErrorClass } {
  const { key, history } = state;
  const failure = state.failures.metadata ?? state.failures.deep;
  const [present] = presentFindings(history, policy);
  if (present !== undefined) {
    return { healthz: FINDINGS[present.code].healthz };
  }
  const { soundAt } = history;
  const isStale = soundAt === undefined || clock.bootMs() - soundAt.bootMs > policy.statusMaxStalenessMs;
  if (failure !== undefined && (isStale || failure.count >= FAILURES_BEFORE_REASON)) {
    const { errorClass } = failure.error;
    return { healthz: errorClass, outage: errorClass };
  }
  const isStarting = soundAt === undefined || (key !== undefined && markerOf(key, key.active) === undefined);
  if (isStarting) {
    return { healthz: "starting" };
  }
  return isStale ? { healthz: "status_stale", outage: "status_stale" } : { healthz: HEALTHY };
}

/**
 * The version that encrypts now.
 * @throws RotationError that says why none does.
 */
export function encryptingKey(state: LiveState, policy: RotationPolicy): KeyHandle {
  const { key, history, failures } = state;
  if (key === undefined) {
    throw noKeyVersion(state);
  }
  const lost = lostFinding(history, policy);
  if (lost !== undefined) {
    throw refusedBy(lost, "active_version_lost", "transit_key_missing");
  }
  const holding = presentFindings(history, policy).find((each) => FINDINGS[each.code].effect !== "notice");
  if (holding !== undefined) {
    throw refusedBy(holding, "encrypt_held", "status_stale");
  }
  if (history.soundAt === undefined) {
    throw new RotationError({
      code: "metadata_not_read",
      errorClass: failureClass(state),
      message: "nothing is encrypted before the key's metadata was read after this start",
      cause: failures.metadata?.error,
    });
  }
  // Throws while the active version has no marker.
  provingMarker(state, key.active);
  return key.active;
}

/**
 * What a ciphertext of the version is checked against.
 * @throws RotationError `marker_missing`; the next probe makes one for the active version.
 */
export function provingMarker({ key }: LiveState, handle: KeyVersion): string {
  const marker = key === undefined ? undefined : markerOf(key, handle);
  if (marker === undefined) {
    throw new RotationError({
      code: "marker_missing",
      errorClass: "status_stale",
      message: `nothing is encrypted under version ${handle.version} before its marker was created and stored`,
    });
  }
  return marker;
}

/** What proves a version; absent until it was active. */
export function markerOf({ stored }: LiveKey, { version, createdAtUnix }: KeyVersion): string | undefined {
  return stored.record.versions.find(
    (each) => each.version === version && each.createdAtUnix === createdAtUnix,
  )?.marker;
}

/** An Encrypt that found what a probe calls `marker_refused`. */
export function keyReplaced({ version }: KeyVersion, { names }: RotationPolicy): RotationError {
  return refusedBy(finding("marker_refused", names, version), "key_replaced", "status_stale");
}

function refusedBy(
  { message, advice }: KeyFinding,
  code: "active_version_lost" | "encrypt_held" | "key_replaced",
  errorClass: ErrorClass,
): RotationError {
  return new RotationError({ code, errorClass, message, advice });
}

export function noKeyVersion(state: LiveState): RotationError {
  return new RotationError({
    code: "no_key_version",
    errorClass: failureClass(state),
    message: "no version of the key is known yet",
    cause: state.failures.metadata?.error,
  });
}

function failureClass({ failures }: LiveState): ErrorClass {
  return failures.metadata?.error.errorClass ?? "status_stale";
}

/** Whether the key serves: metadata is fresh, nothing keeps it from encrypting, and Status says `ok`. */
export function isReady(state: LiveState, clock: Clock, policy: StatusPolicy): boolean {
  const status = keyStatus(state, clock, policy);
  return status.kind === "known" && status.healthz === HEALTHY;
}

export type KeyProblem = Pick<ProviderError, "code" | "errorClass" | "message" | "advice">;

export interface KeyView {
  readonly status: KeyStatus;
  readonly ready: boolean;
  readonly rotationState: "active" | "pending" | "lost" | "unknown";
  readonly origin: RegistryOrigin | undefined;
  readonly active: { readonly version: number; readonly keyIdHash: string } | undefined;
  readonly observation: Observation | undefined;
  /** Time since metadata last showed the active version as it must be, sleep included. */
  readonly metadataAgeMs: number | undefined;
  readonly findings: readonly KeyProblem[];
  /** The last probe, or the last deep one, could not ask. */
  readonly failure: KeyProblem | undefined;
  /** The state directory; what is loaded stays in use, and nothing is promoted. */
  readonly storeFailure: KeyProblem | undefined;
  /** The first thing that keeps the key from being ready, for a start that waits; absent when it is ready. */
  readonly notReady: KeyProblem | undefined;
}

/** The live key as health, metrics and reports show it. Nothing in it is secret. */
export function keyView(state: LiveState, clock: Clock, policy: StatusPolicy): KeyView {
  const { key, history, storeFailure } = state;
  const { soundAt } = history;
  const isLost = lostFinding(history, policy) !== undefined;
  const isPending = key?.stored.record.versions.some((each) => each.state === "pending");
  const findings = history.counts.map(({ finding: { code, message, advice } }): KeyProblem => {
    const errorClass = FINDINGS[code].effect === "lost" ? "transit_key_missing" : "status_stale";
    return { code, errorClass, message, advice };
  });
  const [present] = presentFindings(history, policy);
  const failure = (state.failures.metadata ?? state.failures.deep)?.error;
  const ready = isReady(state, clock, policy);
  return {
    status: keyStatus(state, clock, policy),
    ready,
    rotationState: key === undefined ? "unknown" : isLost ? "lost" : isPending ? "pending" : "active",
    origin: key && originOf(key.stored.record),
    active: key && { version: key.active.version, keyIdHash: hashText(key.active.keyId) },
    observation: key?.stored.record.observation,
    metadataAgeMs: soundAt && Math.max(0, clock.bootMs() - soundAt.bootMs),
    findings,
    failure,
    storeFailure,
    notReady: ready
      ? undefined
      : (findings.find(({ code }) => code === present?.code) ?? failure ?? findings[0]),
  };
}
