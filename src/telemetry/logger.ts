/** @module The logger that every layer is given. */
import { errorClassOf, ProviderError } from "../base/error-class.ts";
import type { LogEvent, LogFields } from "./log-event.ts";
import { jsonLine, LOG_LEVELS, type LogLevel, textLine } from "./log-line.ts";
import type { LogSink } from "./log-sink.ts";

export interface Logger {
  debug(event: LogEvent, fields?: LogFields): void;
  info(event: LogEvent, fields?: LogFields): void;
  warn(event: LogEvent, fields?: LogFields): void;
  error(event: LogEvent, fields?: LogFields): void;
}

/** A logger whose level can be changed while it is in use, as SIGHUP does. */
export interface AdjustableLogger extends Logger {
  readonly level: () => LogLevel;
  readonly setLevel: (level: LogLevel) => void;
}

interface LoggerOptions {
  readonly level: LogLevel;
  readonly format: "json" | "text";
  readonly sink: LogSink;
  readonly wallMs: () => number;
}

export function createLogger({ level, format, sink, wallMs }: LoggerOptions): AdjustableLogger {
  let lowest = LOG_LEVELS.indexOf(level);
  const toLine = format === "json" ? jsonLine : textLine;

  const log =
    (own: LogLevel) =>
    (event: LogEvent, fields: LogFields = {}): void => {
      if (LOG_LEVELS.indexOf(own) < lowest) {
        return;
      }
      const dropped = sink.takeDropped();
      if (dropped > 0) {
        sink.write(
          toLine({ wallMs: wallMs(), level: "warn", event: "log.dropped", fields: { repeated: dropped } }),
        );
      }
      sink.write(toLine({ wallMs: wallMs(), level: own, event, fields }));
    };

  return {
    debug: log("debug"),
    info: log("info"),
    warn: log("warn"),
    error: log("error"),
    level: () => LOG_LEVELS[lowest] ?? "error",
    setLevel: (next) => {
      lowest = LOG_LEVELS.indexOf(next);
    },
  };
}

/**
 * The fields that say what was thrown. Only a ProviderError's own words are repeated; of anything else only that
 * it was unknown.
 */
export function errorFields(error: unknown): LogFields {
  return error instanceof ProviderError
    ? { errorClass: error.errorClass, code: error.code, reason: error.message, advice: error.advice }
    : { errorClass: errorClassOf(error) };
}
