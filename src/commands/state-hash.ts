/** @module An apply must name the hash of the plan that was reviewed. */
import { ProviderError } from "../base/error-class.ts";
import { UsageError } from "../cli/usage-error.ts";

export class StateHashError extends ProviderError<"state_changed"> {}

/** Throws UsageError without a hash, StateHashError when the state is another one than was reviewed. */
export function requireStateHash(expected: string | undefined, actual: string): void {
  if (expected === undefined) {
    throw new UsageError(
      "--apply needs --expected-state-hash",
      "run the plan without --apply, look at it, and take the hash that it prints",
    );
  }
  if (expected !== actual) {
    throw new StateHashError({
      code: "state_changed",
      errorClass: "registry_invalid",
      message: "the state has changed since the plan that was reviewed; nothing was written",
      advice: "run the command again without --apply and review the plan",
    });
  }
}
