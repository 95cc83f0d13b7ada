/** @module Looks up an unknown key_id once, for all who ask. */
import type { Clock } from "../../base/clock.ts";
import type { ProviderError } from "../../base/error-class.ts";
import { singleFlight } from "../../base/single-flight.ts";
import type { TransitClient } from "../../openbao/transit/client.ts";
import { isWellFormedKeyId } from "../identity/key-id.ts";
import { malformedKeyId, unknownKeyId, versionNotServed } from "./errors.ts";
import type { KeyHandle } from "./key-handles.ts";
import { asProviderError, type KeyProbe } from "./key-probe.ts";
import { noKeyVersion } from "./key-status.ts";
import type { LiveKeyWriter } from "./live-key-writer.ts";
import type { LiveState } from "./live-state.ts";
import { momentOf, type RotationPolicy } from "./probe-history.ts";

interface LookUpOptions {
  readonly transit: Pick<TransitClient, "readKey">;
  readonly clock: Clock;
  readonly policy: RotationPolicy;
}

/** The version that a Decrypt names by its key_id: from memory, else looked up, once for all who ask. */
export function keyLookUp(
  writer: LiveKeyWriter,
  keyProbe: KeyProbe,
  { transit, clock, policy }: LookUpOptions,
): (keyId: string, signal: AbortSignal) => Promise<KeyHandle> {
  let lookedUpAtMs = Number.NEGATIVE_INFINITY;
  let failure: ProviderError | undefined;
  let isLookingUp = false;
  const lookUp = singleFlight(async (signal) => {
    isLookingUp = true;
    lookedUpAtMs = clock.monotonicMs();
    try {
      const metadata = await transit.readKey(signal);
      await writer.recordVersions(metadata, momentOf(clock), signal);
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
    const handle = knownKey(writer.state, keyId);
    if (handle !== undefined) {
      return handle;
    }
    if (!isWellFormedKeyId(keyId)) {
      throw malformedKeyId();
    }
    if (writer.state.key === undefined) {
      throw noKeyVersion(writer.state);
    }
    if (!isLookingUp && clock.monotonicMs() - lookedUpAtMs < policy.probeIntervalMs) {
      throw unknownKeyId("key_id_not_looked_up", failure);
    }
    await lookUp(signal);
    const found = knownKey(writer.state, keyId);
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
