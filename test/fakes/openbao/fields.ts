/**
 * @module How OpenBao reads the fields of a request body. The few rules of Go's weak decoding that a client can notice: null
 * is the zero value, numbers and texts stand for each other, durations are Go style or seconds, base64 is Go's StdEncoding.
 */
import type { Json, JsonObject } from "./reply.ts";

/** What a handler throws when a field cannot be read; the text is OpenBao's. */
export class FieldError extends Error {}

/** The value as Go's weak decoding sees it: a text, or nothing for null and what is absent. */
function scalar(value: Json | undefined): string | undefined {
  if (value === undefined || value === null) {
    return undefined;
  }
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

export function textField(body: JsonObject, name: string): string {
  const value = body[name];
  if (value === undefined || value === null) {
    return "";
  }
  if (typeof value === "boolean") {
    return value ? "1" : "0";
  }
  if (typeof value === "object") {
    throw new FieldError(
      `error converting input for field "${name}": '' expected type 'string', got unconvertible type '[]interface {}'`,
    );
  }
  return String(value);
}

export function intField(body: JsonObject, name: string): number {
  const text = scalar(body[name]) ?? "0";
  if (!/^[+-]?\d+$/.test(text)) {
    throw new FieldError(
      `error converting input for field "${name}": '' cannot parse value as 'int': strconv.ParseInt: invalid syntax`,
    );
  }
  return Number(text);
}

export function boolField(body: JsonObject, name: string): boolean {
  const value = body[name];
  return value === true || value === "true" || value === 1;
}

export function listField(body: JsonObject, name: string): readonly string[] {
  const value = body[name];
  if (Array.isArray(value)) {
    return value.map(String);
  }
  return (scalar(value) ?? "").split(",").filter((each) => each !== "");
}

const UNIT_SECONDS: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1, ms: 0.001, d: 86_400 };

/** Seconds from `90`, `"90"`, `"1h30m"`. */
export function secondsField(body: JsonObject, name: string): number {
  const text = scalar(body[name]) ?? "";
  if (text === "") {
    return 0;
  }
  if (/^\d+$/.test(text)) {
    return Number(text);
  }
  if (!/^(\d+(\.\d+)?(ms|[hmsd]))+$/.test(text)) {
    throw new FieldError(
      `Field validation failed: error converting input for field "${name}": time: invalid duration ${JSON.stringify(text)}`,
    );
  }
  return [...text.matchAll(/([\d.]+)(ms|[hmsd])/g)].reduce(
    (sum, [, amount, unit]) => sum + Number(amount) * (UNIT_SECONDS[unit ?? ""] ?? 0),
    0,
  );
}

/** Whole seconds as Go prints a duration, without trailing zero parts: `1h`, `30m`, `59m58s`. */
export function durationText(seconds: number): string {
  const parts = [
    [Math.floor(seconds / 3600), "h"],
    [Math.floor((seconds % 3600) / 60), "m"],
    [seconds % 60, "s"],
  ] as const;
  const text = parts.map(([amount, unit]) => (amount === 0 ? "" : `${amount}${unit}`)).join("");
  return text === "" ? "0s" : text;
}

/** Go's base64.StdEncoding: line breaks are skipped, padding is exact, stray bits in the last character pass. */
export function decodeBase64(text: string): Buffer {
  const packed = text.replace(/[\r\n]/g, "");
  if (/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(packed)) {
    return Buffer.from(packed, "base64");
  }
  const strange = packed.search(/[^A-Za-z0-9+/]/);
  const at =
    strange < 0 ? packed.length - (packed.length % 4) : packed[strange] === "=" ? strange + 1 : strange;
  throw new FieldError(`illegal base64 data at input byte ${at}`);
}
