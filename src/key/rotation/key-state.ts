/** @module When OpenBao is asked about the key: the probes, and the look-up of an unknown key_id. */
import { ProviderError } from "../../base/error-class.ts";
import { singleFlight } from "../../base/single-flight.ts";
import type { TransitClient } from "../../openbao/transit/client.ts";
import { isWellFormedKeyId } from "../identity/key-id.ts";
import { activeVersion } from "../registry/record.ts";
import type { BootstrapPolicy } from "./bootstrap.ts";
import { malformedKeyId, unknownKeyId, versionNotServed } from "./errors.ts";
import { FINDINGS } from "./finding.ts";
import { errorFields, type KeyEventFields } from "./key-events.ts";
import type { KeyHandle } from "./key-handles.ts";
import { KeyKeeper, type KeyKeeperOptions } from "./key-keeper.ts";
import {
  encryptingKey,
  isReady,
  type KeyStatus,
  keyReplaced,
  keyStatus,
  markerOf,
  noKeyVersion,
  provingMarker,
  type StatusPolicy,
} from "./key-status.ts";
import { type KeyView, keyView } from "./key-view.ts";
import type { ProbeKind } from "./live-state.ts";
import { makeMarker, markerHolds } from "./marker.ts";
import { readsBack, type Sealed } from "./read-back.ts";
import { momentOf, PROBE_JITTER, type ProbeAnswer, presentFindings } from "./sightings.ts";

export interface ProbePolicy extends StatusPolicy, BootstrapPolicy {
  readonly deepProbeIntervalMs: number;
  /** Between probes while the key is not ready. */
  readonly retryIntervalMs: number;
}

interface KeyStateOptions extends Omit<KeyKeeperOptions, "transit" | "policy"> {
  readonly transit: Omit<TransitClient, "calls">;
  readonly policy: ProbePolicy;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export interface KeyState {
  /**
   * Loads the registry; asks OpenBao nothing.
   * @throws RegistryError when what is there cannot be used.
   */
  start(): Promise<"loaded" | "missing">;
  /** Probes until the signal aborts; never rejects for what a probe meets. */
  run(signal: AbortSignal): Promise<void>;
  /** One probe now, shared with one that is in progress. Its failure is in {@link KeyState.view}, not thrown. */
  probe(signal: AbortSignal): Promise<void>;
  /** From memory. */
  status(): KeyStatus;
  /** @throws RotationError when nothing may be encrypted now. */
  keyForEncrypt(): KeyHandle;
  /**
   * Holds what was just encrypted against the version's marker; only then may it be answered.
   * @throws RotationError `key_replaced` when they are not under one key (the next probe is then made at once), or what kept
   * OpenBao from being asked.
   */
  confirmEncrypted(key: KeyHandle, sealed: Sealed, signal: AbortSignal): Promise<void>;
  /**
   * A key_id that is well formed but unknown is looked up once, at most every probe interval.
   * @throws RotationError, or what OpenBao said to the look-up.
   */
  keyForDecrypt(keyId: string, signal: AbortSignal): Promise<KeyHandle>;
  view(): KeyView;
}

export function createKeyState(options: KeyStateOptions): KeyState {
  const { transit, clock, policy, random } = options;
  const keeper = new KeyKeeper(options);
  let deepProbedAtMs: number | undefined;
  /** Ends the run loop's wait for the next probe. */
  let wake = new AbortController();

  const report = (
    probeKind: "metadata" | "deep" | "discovery",
    sinceMs: number,
    error?: ProviderError,
  ): void => {
    const status = keyStatus(keeper.state, clock, policy);
    const outcome: KeyEventFields =
      error === undefined ? { status: "ok" } : { status: "error", ...errorFields(error) };
    options.onEvent({
      name: "status.probe",
      level: error === undefined ? "debug" : "warn",
      fields: {
        probeKind,
        durationMs: clock.monotonicMs() - sinceMs,
        ...(status.kind === "known" ? { healthz: status.healthz } : {}),
        ...outcome,
      },
    });
  };

  /** Key and mount, at the same time. */
  const ask = async (signal: AbortSignal): Promise<ProbeAnswer> => {
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
  };

  /** Runs one kind of probe; what it throws becomes state, unless it was aborted. */
  const attempt = async (
    kind: ProbeKind,
    signal: AbortSignal,
    work: () => Promise<void>,
  ): Promise<boolean> => {
    const startedMs = clock.monotonicMs();
    const probeKind = kind === "failure" ? "metadata" : "deep";
    try {
      await work();
      report(probeKind, startedMs);
      return true;
    } catch (error) {
      signal.throwIfAborted();
      const failure = asProviderError(error);
      keeper.probeFailed(kind, failure);
      report(probeKind, startedMs, failure);
      return false;
    }
  };

  const probeDeep = async (signal: AbortSignal): Promise<void> => {
    const { key } = keeper.state;
    if (key === undefined) {
      return;
    }
    const { marker } = activeVersion(key.stored.record);
    if (marker !== undefined) {
      keeper.learnMarker(await markerHolds(transit, key.active, marker, signal));
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
    keeper.deepProbeHeld();
  };

  /** After a failure or a refused marker every probe goes deep, until it is good again or confirmed. */
  const isDeepProbeDue = (): boolean => {
    const { key, deepFailure, sightings } = keeper.state;
    return (
      deepProbedAtMs === undefined ||
      (key !== undefined && markerOf(key, key.active) === undefined) ||
      deepFailure !== undefined ||
      sightings.counts.some((each) => each.finding.code === "marker_refused") ||
      clock.monotonicMs() - deepProbedAtMs >= policy.deepProbeIntervalMs
    );
  };

  const probe = singleFlight(async (signal) => {
    const asked = await attempt("failure", signal, async () => {
      const answer = await ask(signal);
      await keeper.learn(answer, momentOf(clock), signal);
    });
    if (asked && isDeepProbeDue()) {
      deepProbedAtMs = clock.monotonicMs();
      await attempt("deepFailure", signal, () => probeDeep(signal));
    }
  });

  /** Whether the next probe can wait for its turn. */
  const isCalm = (): boolean => {
    const state = keeper.state;
    return state.failure === undefined && state.deepFailure === undefined && isReady(state, clock, policy);
  };

  let lookedUpAtMs = Number.NEGATIVE_INFINITY;
  let lookUpFailure: ProviderError | undefined;
  let isLookingUp = false;
  const lookUp = singleFlight(async (signal) => {
    isLookingUp = true;
    lookedUpAtMs = clock.monotonicMs();
    try {
      const metadata = await transit.readKey(signal);
      await keeper.learnVersions(metadata, momentOf(clock), signal);
      lookUpFailure = undefined;
      report("discovery", lookedUpAtMs);
    } catch (error) {
      lookUpFailure = asProviderError(error);
      report("discovery", lookedUpAtMs, lookUpFailure);
      throw error;
    } finally {
      isLookingUp = false;
    }
  });

  const known = (keyId: string): KeyHandle | undefined => {
    const { key, observing } = keeper.state;
    const entry = (key ?? observing)?.table.get(keyId);
    switch (entry?.state) {
      case undefined:
        return undefined;
      case "removed":
      case "rejected":
        throw versionNotServed(entry.state, entry.handle.version);
      case "active":
      case "pending":
      case "retired":
        return entry.handle;
    }
  };

  return {
    start: () => keeper.load(),
    run: async (signal) => {
      while (!signal.aborted) {
        wake = new AbortController();
        try {
          await probe(signal);
          const intervalMs = isCalm() ? policy.probeIntervalMs : policy.retryIntervalMs;
          const pauseMs = intervalMs * (1 - PROBE_JITTER + 2 * PROBE_JITTER * random());
          await clock.sleep(pauseMs, AbortSignal.any([signal, wake.signal]));
        } catch (error) {
          if (!signal.aborted && !wake.signal.aborted) {
            throw error;
          }
        }
      }
    },
    probe,
    status: () => keyStatus(keeper.state, clock, policy),
    keyForEncrypt: () => encryptingKey(keeper.state, policy),
    confirmEncrypted: async (handle, sealed, signal) => {
      const marker = provingMarker(keeper.state, handle);
      if (await readsBack(transit, handle, marker, sealed, signal)) {
        return;
      }
      deepProbedAtMs = undefined;
      if (isCalm()) {
        wake.abort();
      }
      throw keyReplaced(handle, policy);
    },
    keyForDecrypt: async (keyId, signal) => {
      const handle = known(keyId);
      if (handle !== undefined) {
        return handle;
      }
      if (!isWellFormedKeyId(keyId)) {
        throw malformedKeyId();
      }
      if (keeper.state.key === undefined) {
        throw noKeyVersion(keeper.state);
      }
      if (!isLookingUp && clock.monotonicMs() - lookedUpAtMs < policy.probeIntervalMs) {
        throw unknownKeyId("key_id_not_looked_up", lookUpFailure);
      }
      await lookUp(signal);
      const found = known(keyId);
      if (found === undefined) {
        throw unknownKeyId("key_id_unknown", undefined);
      }
      return found;
    },
    view: () => keyView(keeper.state, clock, policy),
  };
}

function asProviderError(error: unknown): ProviderError {
  return error instanceof ProviderError
    ? error
    : new ProviderError({
        code: "unexpected",
        errorClass: "unknown",
        message: "a probe of the key failed with an error that this release does not know",
        cause: error,
      });
}
