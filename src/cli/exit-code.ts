/** @module What the exit code means, and which class of error ends with which. */
import { type ErrorClass, errorClassOf, ProviderError } from "../base/error-class.ts";
import { isRefusedFile } from "../etcd/errors.ts";
import { isPinRefusal } from "../pkcs11/errors.ts";

export const EXIT_CODES = {
  good: { code: 0, meaning: "good" },
  internal: { code: 1, meaning: "internal or I/O failure" },
  usage: { code: 2, meaning: "usage: an unknown command or flag, or a wrong value" },
  configuration: { code: 3, meaning: "the configuration or the environment was refused" },
  refused: { code: 4, meaning: "a check failed, or a remote refused or could not be asked" },
  interrupted: { code: 5, meaning: "interrupted" },
  pinRefused: { code: 6, meaning: "the PKCS#11 token refused the PIN; never retried by itself" },
} as const;

export type ExitName = keyof typeof EXIT_CODES;

const EXIT_OF_CLASS: Readonly<Record<ErrorClass, ExitName>> = {
  config_invalid: "configuration",
  socket_unavailable: "refused",
  auth_failed: "refused",
  auth_expired: "refused",
  openbao_rate_limited: "refused",
  openbao_sealed: "refused",
  openbao_unavailable: "refused",
  transit_key_missing: "refused",
  transit_policy_denied: "refused",
  key_id_unknown: "refused",
  key_id_malformed: "refused",
  aad_missing: "refused",
  aad_mismatch: "refused",
  annotation_invalid: "refused",
  protocol_limit: "refused",
  status_stale: "refused",
  timeout: "refused",
  canceled: "interrupted",
  registry_invalid: "refused",
  token_device: "refused",
  unknown: "internal",
};

export function exitOfError(error: unknown): ExitName {
  if (error instanceof ProviderError && isPinRefusal(error)) {
    return "pinRefused";
  }
  return error instanceof ProviderError && isRefusedFile(error)
    ? "refused"
    : EXIT_OF_CLASS[errorClassOf(error)];
}
