/** @module Why a key is not given out, or not made. kms/errors.ts makes the texts that leave the socket. */
import { ProviderError } from "../../base/error-class.ts";

type RotationCode =
  /** No registry and no first metadata yet. */
  | "no_key_version"
  | "registry_observing"
  | "openbao_time_unknown"
  | "active_version_lost"
  /** Metadata was not read since the start, so what is loaded may be out of date. */
  | "metadata_not_read"
  /** The key or its mount is not as required. */
  | "encrypt_held"
  | "key_id_malformed"
  | "key_id_unknown"
  /** As unknown, but OpenBao was not asked: it was a moment ago. */
  | "key_id_not_looked_up"
  | "version_removed"
  | "version_rejected"
  | "marker_differs"
  /** The active version has no marker yet, so that nothing shows whether a ciphertext is under it. */
  | "marker_missing"
  /** OpenBao encrypted under another key than the one of the marker. */
  | "key_replaced"
  | "not_read_back";

export class RotationError extends ProviderError<RotationCode> {}

export function versionNotServed(state: "removed" | "rejected", version: number): RotationError {
  return state === "removed"
    ? new RotationError({
        code: "version_removed",
        errorClass: "key_id_unknown",
        message: `version ${version} was removed with retire-versions and decrypts nothing`,
        advice: `if stored data still needs it: bao-kms-provider restore-versions --versions ${version}`,
      })
    : new RotationError({
        code: "version_rejected",
        errorClass: "key_id_unknown",
        message: `this version ${version} contradicts the registry and decrypts nothing`,
        advice: "see operations/disaster-recovery.md: the key was deleted and created again",
      });
}

const UNKNOWN_KEY_ID = {
  key_id_unknown: "no version of the live key has this key_id",
  key_id_not_looked_up:
    "the key_id is unknown; the key was read a moment ago for another unknown key_id, so it is not read again",
} as const;

export function unknownKeyId(
  code: keyof typeof UNKNOWN_KEY_ID,
  cause: ProviderError | undefined,
): RotationError {
  return new RotationError({
    code,
    errorClass: cause?.errorClass ?? "key_id_unknown",
    message: UNKNOWN_KEY_ID[code],
    cause,
  });
}

export function malformedKeyId(): RotationError {
  return new RotationError({
    code: "key_id_malformed",
    errorClass: "key_id_malformed",
    message: "the key_id is not one that this provider makes",
  });
}
