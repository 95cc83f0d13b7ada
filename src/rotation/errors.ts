/**
 * Why a key is not given out, or not made.
 *
 * @module The layer's error. The texts that leave the socket are made from its code and class in kms/errors.ts.
 */
import { ProviderError } from "../base/error-class.ts";

export type RotationCode =
  /** No registry and no first metadata yet. */
  | "no_key_version"
  /** The active version is proven lost. */
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
  /** A marker did not come back as it was encrypted. */
  | "marker_differs";

export class RotationError extends ProviderError<RotationCode> {}
