/** @module One event as one line, for machines or for people. */
import { visible } from "../base/visible-text.ts";
import { LOG_FIELD_NAMES, type LogEvent, type LogFieldName, type LogFields } from "./log-event.ts";

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

interface LogRecord {
  readonly wallMs: number;
  readonly level: LogLevel;
  readonly event: LogEvent;
  readonly fields: LogFields;
}

/** Longer texts are cut; no text of ours comes near. */
const MAX_TEXT = 2048;

const FIELDS = Object.entries(LOG_FIELD_NAMES).map(([key, name]) => [key, name] as const);

/** A JSON object and a newline. */
export function jsonLine({ wallMs, level, event, fields }: LogRecord): string {
  const parts = [`{"ts":"${new Date(wallMs).toISOString()}","level":"${level}","message":"${event}"`];
  for (const [name, value] of given(fields)) {
    parts.push(`"${name}":${typeof value === "number" ? numberText(value) : quoted(value)}`);
  }
  return `${parts.join(",")}}\n`;
}

/** Time, level and event in columns, then name=value pairs, quoted where they hold blanks. */
export function textLine({ wallMs, level, event, fields }: LogRecord): string {
  const pairs = given(fields).map(([name, value]) => {
    const text = typeof value === "number" ? numberText(value) : quoted(value);
    return `${name}=${/^"[\w.:/@+-]+"$/.test(text) ? text.slice(1, -1) : text}`;
  });
  const head = `${new Date(wallMs).toISOString()} ${level.toUpperCase().padEnd(5)} ${event.padEnd(20)}`;
  return `${[head, ...pairs].join(" ").trimEnd()}\n`;
}

function given(fields: LogFields): readonly (readonly [name: string, value: string | number])[] {
  return FIELDS.flatMap(([key, name]) => {
    const value = isFieldName(key) ? fields[key] : undefined;
    return value === undefined ? [] : [[name, value] as const];
  });
}

function isFieldName(key: string): key is LogFieldName {
  return Object.hasOwn(LOG_FIELD_NAMES, key);
}

function numberText(value: number): string {
  return Number.isFinite(value) ? String(Math.round(value * 1000) / 1000) : "null";
}

function quoted(text: string): string {
  const bounded = text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT)}…`;
  return visible(JSON.stringify(bounded));
}
