/** @module The logger that every layer is given: one event is one line, for machines or for people. */
import { errorClassOf, ProviderError } from "../base/error-class.ts";
import { visible } from "../base/visible-text.ts";
import { LOG_FIELD_NAMES, type LogEvent, type LogFieldName, type LogFields } from "./log-event.ts";
import type { LogSink } from "./log-sink.ts";

const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
type LogLevel = (typeof LOG_LEVELS)[number];

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

interface LogRecord {
  readonly wallMs: number;
  readonly level: LogLevel;
  readonly event: LogEvent;
  readonly fields: LogFields;
}

/** Longer texts are cut; no text of ours comes near. */
const MAX_TEXT = 2048;

const FIELD_KEYS = Object.keys(LOG_FIELD_NAMES).filter((key): key is LogFieldName =>
  Object.hasOwn(LOG_FIELD_NAMES, key),
);

/** A JSON object and a newline. */
export function jsonLine({ wallMs, level, event, fields }: LogRecord): string {
  const parts = [`{"ts":"${new Date(wallMs).toISOString()}","level":"${level}","message":"${event}"`];
  for (const [name, value] of namedFields(fields)) {
    parts.push(`"${name}":${valueText(value)}`);
  }
  return `${parts.join(",")}}\n`;
}

/** Time, level and event in columns, then name=value pairs, quoted where they hold blanks. */
export function textLine({ wallMs, level, event, fields }: LogRecord): string {
  const pairs = namedFields(fields).map(([name, value]) => {
    const text = valueText(value);
    return `${name}=${/^"[\w.:/@+-]+"$/.test(text) ? text.slice(1, -1) : text}`;
  });
  const head = `${new Date(wallMs).toISOString()} ${level.toUpperCase().padEnd(5)} ${event.padEnd(20)}`;
  return `${[head, ...pairs].join(" ").trimEnd()}\n`;
}

function namedFields(fields: LogFields): readonly (readonly [name: string, value: string | number])[] {
  return FIELD_KEYS.flatMap((key) => {
    const value = fields[key];
    return value === undefined ? [] : [[LOG_FIELD_NAMES[key], value] as const];
  });
}

function valueText(value: string | number): string {
  if (typeof value === "number") {
    return Number.isFinite(value) ? String(Math.round(value * 1000) / 1000) : "null";
  }
  const bounded = value.length <= MAX_TEXT ? value : `${value.slice(0, MAX_TEXT)}…`;
  return visible(JSON.stringify(bounded));
}
