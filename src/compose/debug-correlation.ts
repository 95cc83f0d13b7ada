/**
 * For the length of one incident, log lines that can be matched with kube-apiserver's own.
 *
 * @module Which fields come on top of a call's line, and until when. It ends by itself; what the fields mean is in the log
 * reference.
 */
import type { Clock } from "../base/clock.ts";
import { hashText } from "../identity/key-scope.ts";
import type { LogFields } from "../telemetry/log-event.ts";

export interface DebugCorrelationOptions {
  readonly enabled: boolean;
  /** Milliseconds from the start of the process, at most an hour. */
  readonly ttl: number;
  readonly incidentId: string;
}

export interface DebugCorrelation {
  /** The fields for a call with this uid; none once the time is over. */
  readonly fieldsFor: (uid: string) => LogFields;
  readonly expiresAtUnixMs: number;
}

/** Starts counting now; `undefined` when it is not enabled. */
export function startDebugCorrelation(
  { enabled, ttl, incidentId }: DebugCorrelationOptions,
  clock: Pick<Clock, "wallMs" | "monotonicMs">,
): DebugCorrelation | undefined {
  if (!enabled) {
    return undefined;
  }
  const endMs = clock.monotonicMs() + ttl;
  const expiresAtUnixMs = clock.wallMs() + ttl;
  const debugCorrelationExpiresAt = new Date(expiresAtUnixMs).toISOString();
  return {
    expiresAtUnixMs,
    fieldsFor: (uid) =>
      clock.monotonicMs() >= endMs || uid === ""
        ? {}
        : {
            requestUidHash: hashText(uid),
            debugCorrelationIncident: incidentId,
            debugCorrelationExpiresAt,
          },
  };
}
