/**
 * Proof that a fresh ciphertext lies under the key that the provider knows, and not under one that has taken its place.
 *
 * @module Reads a ciphertext back beside the marker of its version: OpenBao opens all items of one request with one key, so that
 * both open or the key is another one. What a refusal means for the key is key-state.ts.
 */
import { RotationError } from "./errors.ts";
import type { KeyHandle } from "./key-handles.ts";
import { isRefusal, MARKER } from "./marker.ts";
import type { ReadBackCall } from "./ports.ts";

/** What an Encrypt is about to answer. */
export interface Sealed {
  readonly plaintext: Uint8Array;
  readonly ciphertext: string;
}

/** A standby that lags makes items be answered apart, and is waited for in that: the second time they are together. */
const ATTEMPTS = 2;

/**
 * Whether the ciphertext and the marker open under one key; `false` only when OpenBao was asked and refused one of them, or
 * something else came out.
 * @throws RotationError `not_read_back` when they were never answered together, and whatever the call throws: then nothing was
 * learned.
 */
export async function readsBack(
  calls: ReadBackCall,
  { associatedData, version }: KeyHandle,
  marker: string,
  { plaintext, ciphertext }: Sealed,
  signal: AbortSignal,
): Promise<boolean> {
  const inputs = [marker, ciphertext].map((each) => ({ ciphertext: each, associatedData }));
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const outcomes = await calls.decryptTogether(inputs, signal);
    const opened: Uint8Array[] = [];
    for (const outcome of outcomes) {
      if (outcome.ok && outcome.value.batchIndex !== undefined) {
        opened.push(outcome.value.value);
      } else if (!outcome.ok && isRefusal(outcome.error)) {
        return false;
      } else if (!outcome.ok) {
        throw outcome.error;
      }
    }
    const [first, second] = opened;
    if (first !== undefined && second !== undefined) {
      return MARKER.equals(first) && Buffer.compare(plaintext, second) === 0;
    }
  }
  throw new RotationError({
    code: "not_read_back",
    errorClass: "openbao_unavailable",
    message: `OpenBao did not open what was encrypted under version ${version} in one answer with that version's marker`,
  });
}
