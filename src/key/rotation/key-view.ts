/** @module The live key as health, metrics and reports show it. Nothing in it is secret. */
import type { Clock } from "../../base/clock.ts";
import type { ErrorClass } from "../../base/error-class.ts";
import { hashText } from "../identity/key-scope.ts";
import { type Observation, originOf, type RegistryOrigin } from "../registry/record.ts";
import { type Effect, FINDINGS } from "./finding.ts";
import { isReady, type KeyStatus, keyStatus, type StatusPolicy } from "./key-status.ts";
import type { LiveState } from "./live-state.ts";
import { lostFinding, presentFindings, type RotationPolicy } from "./sightings.ts";

export interface KeyProblem {
  readonly code: string;
  readonly errorClass: ErrorClass;
  readonly message: string;
  readonly advice: string | undefined;
}

interface ShownFinding extends KeyProblem {
  readonly effect: Effect;
  /** As many successive probes agree as are required; before that it may be a standby that lags. */
  readonly confirmed: boolean;
}

export interface KeyView {
  readonly status: KeyStatus;
  readonly ready: boolean;
  readonly rotationState: "active" | "pending" | "lost" | "unknown";
  readonly registry?: {
    readonly generation: number;
    readonly hash: string;
    readonly checkpoint: "current" | "behind";
    readonly origin: RegistryOrigin;
  };
  readonly active?: { readonly version: number; readonly createdAtUnix: number; readonly keyIdHash: string };
  readonly observation?: Observation | undefined;
  /** Time since metadata last showed the active version as it must be, sleep included. */
  readonly metadataAgeMs?: number | undefined;
  readonly findings: readonly ShownFinding[];
  /** The last probe, or the last deep one, could not ask. */
  readonly failure?: KeyProblem | undefined;
  /** The state directory; what is loaded stays in use, and nothing is promoted. */
  readonly storeFailure?: KeyProblem | undefined;
  /** The first thing that keeps the key from being ready, for a start that waits; absent when it is ready. */
  readonly notReady?: KeyProblem | undefined;
}

export function keyView(state: LiveState, clock: Clock, policy: StatusPolicy): KeyView {
  const { key, sightings, storeFailure } = state;
  const { soundAt } = sightings;
  const findings = findingsOf(state, policy);
  const ready = isReady(state, clock, policy);
  const failure = problemOf((state.failure ?? state.deepFailure)?.error);
  const [present] = presentFindings(sightings, policy);
  const reason = findings.find((each) => each.code === present?.code) ?? failure ?? findings[0];
  const notReady = ready ? undefined : reason;
  const { observation } = key?.stored.record ?? {};
  return {
    status: keyStatus(state, clock, policy),
    ready,
    rotationState: rotationStateOf(state, policy),
    ...(key === undefined
      ? {}
      : {
          registry: {
            generation: key.stored.record.generation,
            hash: key.stored.hash,
            checkpoint: key.stored.checkpoint,
            origin: originOf(key.stored.record),
          },
          active: {
            version: key.active.version,
            createdAtUnix: key.active.createdAtUnix,
            keyIdHash: hashText(key.active.keyId),
          },
        }),
    observation,
    metadataAgeMs: soundAt === undefined ? undefined : Math.max(0, clock.bootMs() - soundAt.bootMs),
    findings,
    failure,
    storeFailure: problemOf(storeFailure),
    notReady,
  };
}

function rotationStateOf({ key, sightings }: LiveState, policy: RotationPolicy): KeyView["rotationState"] {
  if (key === undefined) {
    return "unknown";
  }
  if (lostFinding(sightings, policy) !== undefined) {
    return "lost";
  }
  return key.stored.record.versions.some((each) => each.state === "pending") ? "pending" : "active";
}

function findingsOf({ sightings }: LiveState, policy: RotationPolicy): readonly ShownFinding[] {
  return sightings.counts.map(({ finding, count }) => {
    const { code, message, advice } = finding;
    const { effect } = FINDINGS[code];
    return {
      code,
      errorClass: effect === "lost" ? "transit_key_missing" : "status_stale",
      message,
      advice,
      effect,
      confirmed: count >= policy.requireStableObservationCount,
    };
  });
}

/** Without what else the error has, such as its cause. */
function problemOf(error: KeyProblem | undefined): KeyProblem | undefined {
  if (error === undefined) {
    return undefined;
  }
  const { code, errorClass, message, advice } = error;
  return { code, errorClass, message, advice };
}
