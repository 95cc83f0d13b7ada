/** @module The live key as the provider uses it: probed in a loop, looked up when a key_id is unknown, else from memory. */
import { singleFlight } from "../../base/single-flight.ts";
import type { TransitClient } from "../../openbao/transit/client.ts";
import type { KeyHandle } from "./key-handles.ts";
import { keyLookUp } from "./key-lookup.ts";
import { KeyProbe, type ProbePolicy } from "./key-probe.ts";
import {
  encryptingKey,
  isReady,
  type KeyStatus,
  type KeyView,
  keyReplaced,
  keyStatus,
  keyView,
  provingMarker,
} from "./key-status.ts";
import { LiveKeyWriter, type LiveKeyWriterOptions } from "./live-key-writer.ts";
import { type FreshCiphertext, readsBack } from "./marker.ts";
import { PROBE_JITTER } from "./probe-history.ts";

interface KeyStateOptions extends Omit<LiveKeyWriterOptions, "transit" | "policy"> {
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
  confirmEncrypted(key: KeyHandle, fresh: FreshCiphertext, signal: AbortSignal): Promise<void>;
  /**
   * A key_id that is well formed but unknown is looked up once, at most every probe interval.
   * @throws RotationError, or what OpenBao said to the look-up.
   */
  keyForDecrypt(keyId: string, signal: AbortSignal): Promise<KeyHandle>;
  view(): KeyView;
}

export function createKeyState(options: KeyStateOptions): KeyState {
  const { transit, clock, policy, random } = options;
  const writer = new LiveKeyWriter(options);
  const keyProbe = new KeyProbe(writer, options);
  const probe = singleFlight((signal) => keyProbe.run(signal));
  /** Ends the run loop's wait for the next probe. */
  let wake = new AbortController();

  const isCalm = (): boolean => {
    const { metadata, deep } = writer.state.failures;
    return metadata === undefined && deep === undefined && isReady(writer.state, clock, policy);
  };

  return {
    start: () => writer.load(),
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
    status: () => keyStatus(writer.state, clock, policy),
    keyForEncrypt: () => encryptingKey(writer.state, policy),
    confirmEncrypted: async (handle, fresh, signal) => {
      const marker = provingMarker(writer.state, handle);
      if (await readsBack(transit, handle, marker, fresh, signal)) {
        return;
      }
      keyProbe.forceDeep();
      if (isCalm()) {
        wake.abort();
      }
      throw keyReplaced(handle, policy);
    },
    keyForDecrypt: keyLookUp(writer, keyProbe, options),
    view: () => keyView(writer.state, clock, policy),
  };
}
