/** @module A failure that repeats is logged at its start, then once a minute with a count, then at its end. */
import type { LogEvent, LogFields } from "./log-event.ts";
import type { Logger } from "./logger.ts";

export interface FailureLog {
  /** Tells of one failure; `fields.operation` and `fields.errorClass` say which like failures it is counted with. */
  failed(event: LogEvent, fields: LogFields): void;
  /** Tells of one success: the end of failures that were told is logged as info, any other at debug. */
  succeeded(event: LogEvent, fields: LogFields): void;
}

const REPEAT_AFTER_MS = 60_000;
const STARTS_A_MINUTE = 3;
/** Events and operations are closed sets, so this is never reached; it bounds a mistake. */
const MAX_OPERATIONS = 512;

/** Failures of one class at one operation. */
interface Series {
  /** No success since the last failure. */
  readonly failing: boolean;
  /** Failures since the last success, and whether a line told of any of them. */
  readonly count: number;
  readonly told: boolean;
  /** Failures since the last line, over successes too. */
  readonly unlogged: number;
  readonly lastLoggedMs: number;
  /** How many starts were seen in the minute that began then. */
  readonly starts: number;
  readonly minuteBeganMs: number;
}

export function failureLog(logger: Logger, monotonicMs: () => number): FailureLog {
  const operations = new Map<string, Map<string, Series>>();

  return {
    failed: (event, fields) => {
      const key = `${event} ${fields.operation ?? ""}`;
      const classes = operations.get(key) ?? new Map<string, Series>();
      const errorClass = fields.errorClass ?? "unknown";
      const { next, repeated } = afterFailure(classes.get(errorClass), monotonicMs());
      if (operations.has(key) || operations.size < MAX_OPERATIONS) {
        operations.set(key, classes.set(errorClass, next));
      }
      if (repeated !== undefined) {
        logger.warn(event, { status: "error", ...fields, ...(repeated === 1 ? {} : { repeated }) });
      }
    },
    succeeded: (event, fields) => {
      // Nothing has failed yet in most processes, and calls that succeed are many.
      const classes =
        operations.size === 0 ? undefined : operations.get(`${event} ${fields.operation ?? ""}`);
      let repeated = 0;
      let isTold = false;
      for (const [errorClass, series] of classes ?? []) {
        if (series.failing) {
          repeated += series.count;
          isTold ||= series.told;
          classes?.set(errorClass, { ...series, failing: false, count: 0, told: false });
        }
      }
      if (isTold) {
        logger.info(event, { status: "recovered", ...fields, repeated });
      } else {
        logger.debug(event, fields.status === undefined ? { status: "ok", ...fields } : fields);
      }
    },
  };
}

/** `repeated`: how many failures the line that is due stands for; absent when none is due. */
function afterFailure(
  before: Series | undefined,
  nowMs: number,
): { readonly next: Series; readonly repeated?: number } {
  const begins = !(before?.failing ?? false);
  const isSameMinute = before !== undefined && nowMs - before.minuteBeganMs < REPEAT_AFTER_MS;
  const starts = (isSameMinute ? before.starts : 0) + (begins ? 1 : 0);
  const unlogged = (before?.unlogged ?? 0) + 1;
  const isDue =
    before === undefined ||
    nowMs - before.lastLoggedMs >= REPEAT_AFTER_MS ||
    (begins && starts <= STARTS_A_MINUTE);
  const next = {
    failing: true,
    count: (before?.count ?? 0) + 1,
    told: isDue || (before?.told ?? false),
    unlogged: isDue ? 0 : unlogged,
    lastLoggedMs: isDue ? nowMs : before.lastLoggedMs,
    starts,
    minuteBeganMs: isSameMinute ? before.minuteBeganMs : nowMs,
  };
  return isDue ? { next, repeated: unlogged } : { next };
}
