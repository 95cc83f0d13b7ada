/** @module The marker: a fixed, non-secret plaintext whose ciphertext proves that a version decrypts. */
import { ProviderError } from "../../base/error-class.ts";
import type { TransitClient } from "../../openbao/transit/client.ts";
import { RotationError } from "./errors.ts";
import type { KeyHandle } from "./key-handles.ts";

/**
 * Known to everybody, so it must be useless as a key: its length is none of AES's 16, 24 and 32 bytes, so that no
 * kube-apiserver would take it for a seed if its ciphertext were put into etcd.
 */
export const MARKER = Buffer.from("bao-kms-provider marker v1");

/** Codes with which OpenBao says that these bytes do not open under this key, version and associated data. */
const REFUSALS: ReadonlySet<string> = new Set(["decrypt_failed", "ciphertext_refused"]);

function isRefusal(error: unknown): boolean {
  return error instanceof ProviderError && REFUSALS.has(error.code);
}

/**
 * Encrypts the marker under the version and decrypts it again.
 * @returns the ciphertext, which has decrypted once.
 * @throws RotationError `marker_differs` when something else came back, and whatever the calls throw.
 */
export async function makeMarker(
  transit: Pick<TransitClient, "encrypt" | "decrypt">,
  handle: KeyHandle,
  signal: AbortSignal,
): Promise<string> {
  const { associatedData, version } = handle;
  const ciphertext = await transit.encrypt(
    { plaintext: MARKER, associatedData, keyVersion: version },
    signal,
  );
  if (!MARKER.equals(await transit.decrypt({ ciphertext, associatedData }, signal))) {
    throw new RotationError({
      code: "marker_differs",
      errorClass: "unknown",
      message: `the marker that was encrypted under version ${version} decrypts to something else`,
      advice: "check whether a proxy between this host and OpenBao changes answers",
    });
  }
  return ciphertext;
}

/**
 * Whether a kept marker still opens; `false` only when OpenBao was asked and refused the bytes themselves.
 * @throws whatever else the call throws: then nothing was learned.
 */
export async function markerDecrypts(
  transit: Pick<TransitClient, "decrypt">,
  { associatedData }: KeyHandle,
  ciphertext: string,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    return MARKER.equals(await transit.decrypt({ ciphertext, associatedData }, signal));
  } catch (error) {
    if (isRefusal(error)) {
      return false;
    }
    throw error;
  }
}

/** What an Encrypt is about to answer. */
export interface FreshCiphertext {
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
  { plaintext, ciphertext }: FreshCiphertext,
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
