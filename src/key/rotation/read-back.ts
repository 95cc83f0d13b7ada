/** @module Proof that a fresh ciphertext is under the known key: one request opens it together with the marker. */
import type { TransitClient } from "../../openbao/transit/client.ts";
import { RotationError } from "./errors.ts";
import type { KeyHandle } from "./key-handles.ts";
import { isRefusal, MARKER } from "./marker.ts";

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
  transit: Pick<TransitClient, "decryptTogether">,
  { associatedData, version }: KeyHandle,
  marker: string,
  { plaintext, ciphertext }: Sealed,
  signal: AbortSignal,
): Promise<boolean> {
  const inputs = [marker, ciphertext].map((each) => ({ ciphertext: each, associatedData }));
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const outcomes = await transit.decryptTogether(inputs, signal);
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
    message: `OpenBao did not decrypt a fresh ciphertext of version ${version} together with that version's marker`,
  });
}
