/** @module Whether a provider that has not become ready waits on, or leaves with the reason. Pure. */
import type { ErrorClass } from "../base/error-class.ts";

interface StartFailure {
  readonly errorClass: ErrorClass;
  readonly code: string;
}

export interface StartState {
  readonly elapsedMs: number;
  readonly graceMs: number;
  readonly registryLoaded: boolean;
  /** Why the last attempt failed; undefined while the first is in progress. */
  readonly failure: StartFailure | undefined;
}

/**
 * Waiting does not cure these classes: denied, missing, expired or absent credential, wrong registry. A PKCS#11 token is not
 * among them: it may be plugged in again, and its PIN file replaced, while Status keeps answering.
 */
const NEEDS_A_PERSON: ReadonlySet<ErrorClass> = new Set([
  "config_invalid",
  "auth_failed",
  "auth_expired",
  "transit_key_missing",
  "transit_policy_denied",
  "registry_invalid",
]);

/** Transport codes of the same kind: the server that answers is not the one that was configured. */
const WRONG_SERVER: ReadonlySet<string> = new Set(["tls_name_mismatch", "tls_untrusted"]);

/** Whether the process leaves now. Never before the grace has passed. */
export function exitsAfterFailedStart(state: StartState): boolean {
  if (state.failure === undefined || state.elapsedMs < state.graceMs) {
    return false;
  }
  // Observing a key ends by itself; a restart would begin it anew.
  if (state.failure.code === "registry_observing") {
    return false;
  }
  return (
    !state.registryLoaded ||
    NEEDS_A_PERSON.has(state.failure.errorClass) ||
    WRONG_SERVER.has(state.failure.code)
  );
}
