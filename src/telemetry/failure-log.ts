/**
 * A failure that repeats is logged at its start, then once a minute with a count, then at its end.
 *
 * @module A state machine for each event and operation: well, or failing with a class since a moment.
 */
import type { LogEvent, LogFields } from "./log-event.ts";
import type { Logger } from "./logger.ts";

export interface FailureLog {
  /** Tells of one failure; `fields.operation` and `fields.errorClass` say which like failures it is counted with. */
  failed(event: LogEvent, fields: LogFields): void;
  /** Tells of one success: the end of a series of failures is logged as info, any other at debug. */
  succeeded(event: LogEvent, fields: LogFields): void;
}

const REPEAT_AFTER_MS = 60_000;
/** Events and operations are closed sets, so this is never reached; it bounds a mistake. */
const MAX_SERIES = 512;

interface Series {
  readonly errorClass: string;
  readonly lastLoggedMs: number;
  /** Failures since the last line about them. */
  readonly unlogged: number;
  readonly total: number;
}

export function failureLog(logger: Logger, monotonicMs: () => number): FailureLog {
  const series = new Map<string, Series>();

  return {
    failed: (event, fields) => {
      const key = `${event} ${fields.operation ?? ""}`;
      const errorClass = fields.errorClass ?? "unknown";
      const now = monotonicMs();
      const current = series.get(key);
      if (current === undefined || current.errorClass !== errorClass) {
        if (series.size < MAX_SERIES) {
          series.set(key, { errorClass, lastLoggedMs: now, unlogged: 0, total: 1 });
        }
        logger.warn(event, { status: "error", ...fields });
        return;
      }
      const unlogged = current.unlogged + 1;
      const isDue = now - current.lastLoggedMs >= REPEAT_AFTER_MS;
      if (isDue) {
        logger.warn(event, { status: "error", ...fields, repeated: unlogged });
      }
      series.set(key, {
        ...current,
        lastLoggedMs: isDue ? now : current.lastLoggedMs,
        unlogged: isDue ? 0 : unlogged,
        total: current.total + 1,
      });
    },
    succeeded: (event, fields) => {
      const key = `${event} ${fields.operation ?? ""}`;
      const ended = series.get(key);
      if (ended === undefined) {
        logger.debug(event, { status: "ok", ...fields });
        return;
      }
      series.delete(key);
      logger.info(event, { status: "recovered", ...fields, repeated: ended.total });
    },
  };
}
