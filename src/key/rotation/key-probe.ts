/** @module One probe of the key: metadata and mount, then the marker when that is due. */
import type { Clock } from "../../base/clock.ts";
import { ProviderError } from "../../base/error-class.ts";
import type { TransitClient } from "../../openbao/transit/client.ts";
import { activeVersion } from "../registry/record.ts";
import type { BootstrapPolicy } from "./bootstrap.ts";
import { FINDINGS } from "./finding.ts";
import { errorFields, type KeyEvent, type KeyEventFields } from "./key-events.ts";
import type { KeyKeeper } from "./key-keeper.ts";
import { keyStatus, markerOf, type StatusPolicy } from "./key-status.ts";
import type { LiveState, ProbeKind } from "./live-state.ts";
import { makeMarker, markerHolds } from "./marker.ts";
import { momentOf, type ProbeAnswer, presentFindings } from "./sightings.ts";

export interface ProbePolicy extends StatusPolicy, BootstrapPolicy {
  readonly deepProbeIntervalMs: number;
  readonly retryIntervalMs: number;
}

interface ProbeOptions {
  readonly transit: Pick<TransitClient, "readKey" | "readDisableUpsert" | "encrypt" | "decrypt">;
  readonly clock: Clock;
  readonly policy: ProbePolicy;
  readonly onEvent: (event: KeyEvent) => void;
}

export class KeyProbe {
  readonly #keeper: KeyKeeper;
  readonly #options: ProbeOptions;
  #deepProbedAtMs: number | undefined;

  constructor(keeper: KeyKeeper, options: ProbeOptions) {
    this.#keeper = keeper;
    this.#options = options;
  }

  doubt(): void {
    this.#deepProbedAtMs = undefined;
  }

  /** What it meets becomes state. @throws the signal's reason when that aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { transit, clock, policy } = this.#options;
    const asked = await this.#attempt("failure", signal, async () => {
      const answer = await askAboutKey(transit, signal);
      await this.#keeper.learn(answer, momentOf(clock), signal);
    });
    if (asked && isDeepProbeDue(this.#keeper.state, this.#deepProbedAtMs, clock.monotonicMs(), policy)) {
      this.#deepProbedAtMs = clock.monotonicMs();
      await this.#attempt("deepFailure", signal, () => this.#probeDeep(signal));
    }
  }

  report(probeKind: "metadata" | "deep" | "discovery", sinceMs: number, error?: ProviderError): void {
    const { clock, policy, onEvent } = this.#options;
    const status = keyStatus(this.#keeper.state, clock, policy);
    const outcome: KeyEventFields =
      error === undefined ? { status: "ok" } : { status: "error", ...errorFields(error) };
    onEvent({
      name: "status.probe",
      level: error === undefined ? "debug" : "warn",
      fields: {
        probeKind,
        durationMs: clock.monotonicMs() - sinceMs,
        ...(status.kind === "known" ? { healthz: status.healthz } : {}),
        ...outcome,
      },
    });
  }

  async #attempt(kind: ProbeKind, signal: AbortSignal, work: () => Promise<void>): Promise<boolean> {
    const startedMs = this.#options.clock.monotonicMs();
    const probeKind = kind === "failure" ? "metadata" : "deep";
    try {
      await work();
      this.report(probeKind, startedMs);
      return true;
    } catch (error) {
      signal.throwIfAborted();
      const failure = asProviderError(error);
      this.#keeper.probeFailed(kind, failure);
      this.report(probeKind, startedMs, failure);
      return false;
    }
  }

  async #probeDeep(signal: AbortSignal): Promise<void> {
    const { transit, policy } = this.#options;
    const keeper = this.#keeper;
    const { key } = keeper.state;
    if (key === undefined) {
      return;
    }
    const { marker } = activeVersion(key.stored.record);
    if (marker !== undefined) {
      keeper.learnMarker(await markerHolds(transit, key.active, marker, signal), key.active);
    }
    const isSound = presentFindings(keeper.state.sightings, policy).every(
      ({ code }) => FINDINGS[code].effect === "notice",
    );
    if (isSound) {
      const fresh = await makeMarker(transit, key.active, signal);
      if (marker === undefined) {
        await keeper.keepMarker(fresh, signal);
      }
    }
    keeper.deepProbeSucceeded();
  }
}

async function askAboutKey(transit: ProbeOptions["transit"], signal: AbortSignal): Promise<ProbeAnswer> {
  const [key, upsert] = await Promise.allSettled([
    transit.readKey(signal),
    transit.readDisableUpsert(signal),
  ]);
  if (key.status === "rejected") {
    const error: unknown = key.reason;
    if (error instanceof ProviderError && error.errorClass === "transit_key_missing") {
      return { kind: "missing" };
    }
    throw error;
  }
  if (upsert.status === "rejected") {
    throw upsert.reason;
  }
  return { kind: "key", key: key.value, upsertDisabled: upsert.value };
}

/** After a failure or a refused marker every probe goes deep, until it is good again or confirmed. */
function isDeepProbeDue(
  { key, deepFailure, sightings }: LiveState,
  lastMs: number | undefined,
  nowMs: number,
  { deepProbeIntervalMs }: ProbePolicy,
): boolean {
  return (
    lastMs === undefined ||
    (key !== undefined && markerOf(key, key.active) === undefined) ||
    deepFailure !== undefined ||
    sightings.counts.some((each) => each.finding.code === "marker_refused") ||
    nowMs - lastMs >= deepProbeIntervalMs
  );
}

export function asProviderError(error: unknown): ProviderError {
  return error instanceof ProviderError
    ? error
    : new ProviderError({
        code: "unexpected",
        errorClass: "unknown",
        message: "a probe of the key failed with an error that this release does not know",
        cause: error,
      });
}
