/** @module An ECDSA signature as PKCS#11 gives it, in the form that TLS sends. */

/** Two integers of the widest curve served, P-384. */
const MAX_BYTES = 2 * 48;

/**
 * `r || s`, both of the same length (PKCS#11 2.40, section 2.3.1), as DER `SEQUENCE { INTEGER r, INTEGER s }` (RFC 3279,
 * section 2.2.3). `undefined` when the length is not one that P-256 or P-384 can have, or when r or s is zero.
 */
export function derFromRawEcdsa(raw: Uint8Array): Uint8Array | undefined {
  if (raw.length === 0 || raw.length % 2 !== 0 || raw.length > MAX_BYTES) {
    return undefined;
  }
  const r = derInteger(raw.subarray(0, raw.length / 2));
  const s = derInteger(raw.subarray(raw.length / 2));
  if (r === undefined || s === undefined) {
    return undefined;
  }
  // At most 2 × (2 + 1 + 48) bytes: one length byte is always enough.
  return Uint8Array.of(0x30, r.length + s.length, ...r, ...s);
}

/** The shortest two's complement form of a positive number; `undefined` for zero. */
function derInteger(magnitude: Uint8Array): Uint8Array | undefined {
  const start = magnitude.findIndex((byte) => byte !== 0);
  if (start < 0) {
    return undefined;
  }
  const digits = magnitude.subarray(start);
  const sign = (digits[0] ?? 0) >= 0x80 ? [0] : [];
  return Uint8Array.of(0x02, sign.length + digits.length, ...sign, ...digits);
}
