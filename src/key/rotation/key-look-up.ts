/** @module The version that a Decrypt names by its key_id: from memory, else looked up, once for all who ask. */
import type { Clock } from "../../base/clock.ts";
import type { ProviderError } from "../../base/error-class.ts";
import { singleFlight } from "../../base/single-flight.ts";
import type { TransitClient } from "../../openbao/transit/client.ts";
import { isWellFormedKeyId } from "../identity/key-id.ts";
import { malformedKeyId, unknownKeyId, versionNotServed } from "./errors.ts";
import type { KeyHandle } from "./key-handles.ts";
import type { KeyKeeper } from "./key-keeper.ts";
import { asProviderError, type KeyProbe } from "./key-probe.ts";
import { noKeyVersion } from "./key-status.ts";
import type { LiveState } from "./live-state.ts";
import { momentOf } from "./sightings.ts";

interface LookUpOptions {
  readonly transit: Pick<TransitClient, "readKey">;
  readonly clock: Clock;
  /** At most one look-up in this time. */
  readonly intervalMs: number;
  readonly report: KeyProbe["report"];
}

export function keyLookUp(
  keeper: KeyKeeper,
  { transit, clock, intervalMs, report }: LookUpOptions,
): (keyId: string, signal: AbortSignal) => Promise<KeyHandle> {
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
      report("discovery", lookedUpAtMs);
    } catch (error) {
      failure = asProviderError(error);
      report("discovery", lookedUpAtMs, failure);
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
    if (!isLookingUp && clock.monotonicMs() - lookedUpAtMs < intervalMs) {
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
