/** @module Encrypt and Decrypt of concurrent KMS calls share requests; identical Decrypts share one item. */
import type { KeyCalls } from "./client.ts";
import { type CoalesceOptions, coalesce } from "./coalesce.ts";
import { type TransitCode, TransitError } from "./errors.ts";

/** Which calls go together. */
export const GROUPING = {
  /** An answer has room for more of the longest results; more items only make each caller wait longer. */
  maxItems: 64,
  /** Enough to be worth a request: while OpenBao works on them, those that arrived with them are still being read. */
  enoughItems: 16,
  /** While OpenBao works on one request, the next one is being sent. */
  maxInProgress: 2,
  atEndOfTurn: setImmediate,
} satisfies Partial<CoalesceOptions<never, never>>;

/** Failures of a request that one of its items may have caused for all. */
const SPOILT_BY_AN_ITEM: ReadonlySet<TransitCode> = new Set<TransitCode>([
  "request_refused",
  "reply_malformed",
  "body_too_large",
  "decrypt_failed",
  "ciphertext_refused",
  "ciphertext_malformed",
  "plaintext_too_large",
  "version_too_new",
  "version_too_old",
  "version_missing",
]);

export type CoalescedCalls = ReturnType<typeof coalescedCalls>;

export function coalescedCalls({ encrypt, decrypt }: KeyCalls) {
  const common = {
    ...GROUPING,
    retrySingly: (error: unknown) => error instanceof TransitError && SPOILT_BY_AN_ITEM.has(error.code),
  };
  return {
    encrypt: coalesce({ ...common, ...encrypt }),
    decrypt: coalesce({
      ...common,
      ...decrypt,
      dedupKey: ({ ciphertext, associatedData }) => `${ciphertext} ${associatedData}`,
    }),
  };
}
