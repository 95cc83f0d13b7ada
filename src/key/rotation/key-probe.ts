/** @module One probe of the key: metadata and mount, then the marker when that is due. */
import type { Clock } from "../../base/clock.ts";
import { ProviderError } from "../../base/error-class.ts";
import type { TransitClient } from "../../openbao/transit/client.ts";
import { activeVersion } from "../registry/record.ts";
import type { BootstrapPolicy } from "./bootstrap.ts";
import { FINDINGS } from "./finding.ts";
import { errorFields, type KeyEvent, type KeyEventFields } from "./key-events.ts";
import { keyStatus, markerOf, type StatusPolicy } from "./key-status.ts";
import type { LiveKeyWriter } from "./live-key-writer.ts";
import type { LiveState, ProbeKind } from "./live-state.ts";
import { makeMarker, markerDecrypts } from "./marker.ts";
import { momentOf, type ProbeAnswer, presentFindings } from "./probe-history.ts";

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
  readonly #writer: LiveKeyWriter;
  readonly #options: ProbeOptions;
  #deepProbedAtMs: number | undefined;

  constructor(writer: LiveKeyWriter, options: ProbeOptions) {
    this.#writer = writer;
    this.#options = options;
  }

  forceDeep(): void {
    this.#deepProbedAtMs = undefined;
  }

  /** What it meets becomes state. @throws the signal's reason when that aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { transit, clock, policy } = this.#options;
    const asked = await this.#attempt("metadata", signal, async () => {
      const answer = await askAboutKey(transit, signal);
      await this.#writer.recordProbe(answer, momentOf(clock), signal);
    });
    if (asked && isDeepProbeDue(this.#writer.state, this.#deepProbedAtMs, clock.monotonicMs(), policy)) {
      this.#deepProbedAtMs = clock.monotonicMs();
      await this.#attempt("deep", signal, () => this.#probeDeep(signal));
    }
  }

  report(probeKind: ProbeKind | "discovery", sinceMs: number, error?: ProviderError): void {
    const { clock, policy, onEvent } = this.#options;
    const status = keyStatus(this.#writer.state, clock, policy);
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
    try {
      await work();
      this.report(kind, startedMs);
      return true;
    } catch (error) {
      signal.throwIfAborted();
      const failure = asProviderError(error);
      this.#writer.probeFailed(kind, failure);
      this.report(kind, startedMs, failure);
      return false;
    }
  }

  async #probeDeep(signal: AbortSignal): Promise<void> {
    const { transit, policy } = this.#options;
    const writer = this.#writer;
    const { key } = writer.state;
    if (key === undefined) {
      return;
    }
    const { marker } = activeVersion(key.stored.record);
    if (marker !== undefined) {
      writer.recordMarkerCheck(await markerDecrypts(transit, key.active, marker, signal), key.active);
    }
    const isSound = presentFindings(writer.state.history, policy).every(
      ({ code }) => FINDINGS[code].effect === "notice",
    );
    if (isSound) {
      const fresh = await makeMarker(transit, key.active, signal);
      if (marker === undefined) {
        await writer.keepMarker(fresh, signal);
      }
    }
    writer.deepProbeSucceeded();
  }
}

/** A key that is not there is an answer; everything else that goes wrong is not. */
export async function askAboutKey(
  transit: Pick<TransitClient, "readKey" | "readDisableUpsert">,
  signal: AbortSignal,
): Promise<ProbeAnswer> {
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
  { key, failures, history }: LiveState,
  lastMs: number | undefined,
  nowMs: number,
  { deepProbeIntervalMs }: ProbePolicy,
): boolean {
  return (
    lastMs === undefined ||
    (key !== undefined && markerOf(key, key.active) === undefined) ||
    failures.deep !== undefined ||
    history.counts.some((each) => each.finding.code === "marker_refused") ||
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
