/** @module A duration as Go's time.ParseDuration reads it, to the nanosecond and with its overflow. */
const UNIT_NS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

const WHOLE = /^([-+]?)((?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/;
const PART = /(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)/g;
const MAX_NS = 2n ** 63n - 1n;

/** Nanoseconds; undefined when Go refuses the text. */
export function goDurationNs(text: string): bigint | undefined {
  if (/^[-+]?0$/.test(text)) {
    return 0n;
  }
  const whole = WHOLE.exec(text);
  if (whole === null) {
    return undefined;
  }
  let total = 0n;
  for (const [, integer = "", fraction = "", unit = ""] of (whole[2] ?? "").matchAll(PART)) {
    const unitNs = UNIT_NS[unit] ?? 0;
    // Go cuts a fraction of a nanosecond off; digits past the 18th do not reach one.
    const digits = fraction.slice(0, 18);
    const part = Math.floor(Number(`0${digits}`) * (unitNs / 10 ** digits.length));
    total += BigInt(`0${integer}`) * BigInt(unitNs) + BigInt(part);
  }
  return total > MAX_NS ? undefined : whole[1] === "-" ? -total : total;
}
