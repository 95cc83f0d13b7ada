/** @module The live key as the provider uses it: probed in a loop, looked up when a key_id is unknown, else from memory. */
import type { ProviderError } from "../../base/error-class.ts";
import { singleFlight } from "../../base/single-flight.ts";
import type { TransitClient } from "../../openbao/transit/client.ts";
import { isWellFormedKeyId } from "../identity/key-id.ts";
import { malformedKeyId, unknownKeyId, versionNotServed } from "./errors.ts";
import type { KeyHandle } from "./key-handles.ts";
import { KeyKeeper, type KeyKeeperOptions } from "./key-keeper.ts";
import { asProviderError, KeyProbe, type ProbePolicy } from "./key-probe.ts";
import {
  encryptingKey,
  isReady,
  type KeyStatus,
  type KeyView,
  keyReplaced,
  keyStatus,
  keyView,
  noKeyVersion,
  provingMarker,
} from "./key-status.ts";
import type { LiveState } from "./live-state.ts";
import { readsBack, type Sealed } from "./marker.ts";
import { momentOf, PROBE_JITTER } from "./sightings.ts";

interface KeyStateOptions extends Omit<KeyKeeperOptions, "transit" | "policy"> {
  readonly transit: Omit<TransitClient, "calls">;
  readonly policy: ProbePolicy;
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
  const keyProbe = new KeyProbe(keeper, options);
  const probe = singleFlight((signal) => keyProbe.run(signal));
  /** Ends the run loop's wait for the next probe. */
  let wake = new AbortController();

  const isCalm = (): boolean => {
    const { failure, deepFailure } = keeper.state;
    return failure === undefined && deepFailure === undefined && isReady(keeper.state, clock, policy);
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
      keyProbe.doubt();
      if (isCalm()) {
        wake.abort();
      }
      throw keyReplaced(handle, policy);
    },
    keyForDecrypt: keyLookUp(keeper, keyProbe, options),
    view: () => keyView(keeper.state, clock, policy),
  };
}

/** The version that a Decrypt names by its key_id: from memory, else looked up, once for all who ask. */
function keyLookUp(
  keeper: KeyKeeper,
  keyProbe: KeyProbe,
  { transit, clock, policy }: KeyStateOptions,
): KeyState["keyForDecrypt"] {
  let lookedUpAtMs = Number.NEGATIVE_INFINITY;
  let failure: ProviderError | undefined;
  let isLookingUp = false;
  const lookUp = singleFlight(async (signal) => {
    isLookingUp = true;
    lookedUpAtMs = clock.monotonicMs();
    try {
      const metadata = await transit.readKey(signal);
      await keeper.learnVersions(metadata, momentOf(clock), signal);
      failure = undefined;
      keyProbe.report("discovery", lookedUpAtMs);
    } catch (error) {
      failure = asProviderError(error);
      keyProbe.report("discovery", lookedUpAtMs, failure);
      throw error;
    } finally {
      isLookingUp = false;
    }
  });
  return async (keyId, signal) => {
    const handle = knownKey(keeper.state, keyId);
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
      throw unknownKeyId("key_id_not_looked_up", failure);
    }
    await lookUp(signal);
    const found = knownKey(keeper.state, keyId);
    if (found === undefined) {
      throw unknownKeyId("key_id_unknown", undefined);
    }
    return found;
  };
}

/** @throws RotationError for a version that is known and not served. */
function knownKey({ key, observing }: LiveState, keyId: string): KeyHandle | undefined {
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
}
