/** @module A scalar without quotes as go.yaml.in/yaml/v2 reads it: `on` is a boolean, `1_000` and `0b11` are numbers. */
export type PlainScalar =
  | { readonly kind: "string" | "bool" | "null" }
  | { readonly kind: "number"; readonly value: number };

const BOOL = /^(?:[yYnN]|yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$/;
const NULL = /^(?:|~|null|Null|NULL)$/;
const INFINITE_OR_NAN = /^(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/;
const DIGITS_FIRST = /^[-+0-9]/;
const FLOAT = /^[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?$/;
const DOT_FLOAT = /^\.\d+(?:[eE][-+]?\d+)?$/;
const WITH_BASE = /^([-+]?)(0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+)$/;
const OCTAL = /^([-+]?)0([0-7]+)$/;
const MAX_UNSIGNED = 2n ** 64n - 1n;
const MAX_SIGNED = 2n ** 63n - 1n;

const STRING: PlainScalar = { kind: "string" };

export function plainScalar(text: string): PlainScalar {
  if (NULL.test(text)) {
    return { kind: "null" };
  }
  if (BOOL.test(text)) {
    return { kind: "bool" };
  }
  if (INFINITE_OR_NAN.test(text)) {
    return { kind: "number", value: Number.NaN };
  }
  if (DOT_FLOAT.test(text)) {
    return float(text);
  }
  if (!DIGITS_FIRST.test(text)) {
    return STRING;
  }
  const plain = text.replaceAll("_", "");
  const based = WITH_BASE.exec(plain);
  const octal = OCTAL.exec(plain);
  if (based !== null || octal !== null) {
    const sign = (based ?? octal)?.[1] ?? "";
    const magnitude = BigInt(based?.[2]?.toLowerCase() ?? `0o${octal?.[2] ?? "0"}`);
    if (fits(sign, magnitude)) {
      return { kind: "number", value: (sign === "-" ? -1 : 1) * Number(magnitude) };
    }
  }
  return FLOAT.test(plain) ? float(plain) : STRING;
}

/** Whether Go's ParseInt, or ParseUint for a number without sign, takes it. */
function fits(sign: string, magnitude: bigint): boolean {
  return magnitude <= (sign === "" ? MAX_UNSIGNED : sign === "-" ? MAX_SIGNED + 1n : MAX_SIGNED);
}

/** Go reports a number out of range, and the text stays a string. */
function float(text: string): PlainScalar {
  const value = Number(text);
  return Number.isFinite(value) ? { kind: "number", value } : STRING;
}
