/** @module For the length of one incident, log lines that can be matched with those of kube-apiserver. */
import type { Clock } from "../base/clock.ts";
import { hashText } from "../key/identity/key-scope.ts";
import type { LogFields } from "../telemetry/log-event.ts";
import type { Logger } from "../telemetry/logger.ts";

interface DebugCorrelationOptions {
  readonly enabled: boolean;
  /** Milliseconds from the start of the process, at most an hour. */
  readonly ttl: number;
  readonly incidentId: string;
}

export interface DebugCorrelation {
  readonly fieldsFor: (uid: string) => LogFields;
  /** Logs that it has begun, and once the time is over that it has ended; resolves then, or when the signal aborts. */
  readonly announce: (logger: Pick<Logger, "warn">, signal: AbortSignal) => Promise<void>;
}

/** Starts counting now; `undefined` when it is not enabled. */
export function startDebugCorrelation(
  { enabled, ttl, incidentId }: DebugCorrelationOptions,
  clock: Pick<Clock, "wallMs" | "monotonicMs" | "sleep">,
): DebugCorrelation | undefined {
  if (!enabled) {
    return undefined;
  }
  const endMs = clock.monotonicMs() + ttl;
  const incident: LogFields = {
    debugCorrelationIncident: incidentId,
    debugCorrelationExpiresAt: new Date(clock.wallMs() + ttl).toISOString(),
  };
  return {
    fieldsFor: (uid) =>
      clock.monotonicMs() >= endMs || uid === "" ? {} : { ...incident, requestUidHash: hashText(uid) },
    announce: async (logger, signal) => {
      logger.warn("debug_correlation.started", incident);
      try {
        await clock.sleep(endMs - clock.monotonicMs(), signal);
      } catch {
        return;
      }
      logger.warn("debug_correlation.ended", incident);
    },
  };
}
