/** @module Durations as Go writes them (`500ms`, `2s`, `1h30m`), without signs. */
const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

const PART = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/gy;
const MAX_TEXT = 64;
const MAX_MS = 100 * 365.25 * 24 * 3_600_000;

/** Milliseconds of a Go duration (pkg.go.dev/time#ParseDuration) of at most 100 years; `undefined` for another text. */
export function parseDurationMs(text: string): number | undefined {
  if (text === "0") {
    return 0;
  }
  const parts = text.length > MAX_TEXT ? [] : [...text.matchAll(PART)];
  const total = parts.reduce((sum, [, count, unit = ""]) => sum + Number(count) * (UNIT_MS[unit] ?? 0), 0);
  const isWhole = text !== "" && parts.map(([part]) => part).join("") === text;
  return isWhole && total <= MAX_MS ? total : undefined;
}

/** The shortest Go spelling of a number of milliseconds, to the millisecond: 90000 is `1m30s`. */
export function formatDuration(ms: number): string {
  const whole = Math.round(ms);
  if (whole < 1000) {
    return whole === 0 ? "0s" : `${whole}ms`;
  }
  const hours = Math.floor(whole / 3_600_000);
  const minutes = Math.floor((whole % 3_600_000) / 60_000);
  const seconds = (whole % 60_000) / 1000;
  return [
    hours > 0 ? `${hours}h` : "",
    minutes > 0 ? `${minutes}m` : "",
    seconds > 0 ? `${Number(seconds.toFixed(3))}s` : "",
  ].join("");
}
