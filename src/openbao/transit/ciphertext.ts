/** @module Transit's ciphertext as text, in canonical form only: OpenBao opens other spellings too. */
/** kube-apiserver refuses a ciphertext that is longer. */
export const MAX_CIPHERTEXT_BYTES = 1024;

/** AES-256-GCM of Transit: 12 bytes of nonce before, 16 bytes of tag behind. */
const OVERHEAD_BYTES = 28;

/** RFC 4648 section 4 with exact padding and with the unused bits of the last character zero. */
const BASE64 = "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?";
const CANONICAL = new RegExp(`^vault:v([1-9][0-9]{0,14}):${BASE64}$`);
const CANONICAL_BASE64 = new RegExp(`^${BASE64}$`);

/** The key version of a canonical ciphertext of 1 to 1024 bytes; `undefined` for every other text. */
export function ciphertextVersion(text: string): number | undefined {
  if (text.length > MAX_CIPHERTEXT_BYTES) {
    return undefined;
  }
  const match = CANONICAL.exec(text);
  return match === null ? undefined : Number(match[1]);
}

/** Length in bytes of the ciphertext that Transit makes of so many bytes of plaintext. */
export function ciphertextBytes(plaintextBytes: number, version: number): number {
  return `vault:v${version}:`.length + Math.ceil((plaintextBytes + OVERHEAD_BYTES) / 3) * 4;
}

/** The bytes of canonical base64; `undefined` for every other text. */
export function decodeBase64(text: string): Uint8Array | undefined {
  return CANONICAL_BASE64.test(text) ? Uint8Array.fromBase64(text) : undefined;
}
