/** @module A plan that a person reviews: what blocks it, and the hash that an apply must name. */
import { ProviderError } from "../base/error-class.ts";
import { UsageError } from "../cli/errors.ts";
import type { Paint } from "../cli/output.ts";
import type { Blocker } from "../key/rotation/usage.ts";

/** Throws UsageError without a hash, ProviderError `state_changed` when the state is another one than was reviewed. */
export function requireStateHash(expected: string | undefined, actual: string): void {
  if (expected === undefined) {
    throw new UsageError(
      "--apply needs --expected-state-hash",
      "run the plan without --apply, look at it, and take the hash that it prints",
    );
  }
  if (expected !== actual) {
    throw new ProviderError({
      code: "state_changed",
      errorClass: "registry_invalid",
      message: "the state has changed since the plan that was reviewed; nothing was written",
      advice: "run the command again without --apply and review the plan",
    });
  }
}

/** The hash of the plan and, while it can be carried out, how. */
export function stateHashLines(hash: string, isOpen: boolean): readonly string[] {
  return [
    "",
    `state hash  ${hash}`,
    ...(isOpen ? [`to do it: the same command with --apply --expected-state-hash ${hash}`] : []),
  ];
}

export function blockerLines(blockers: readonly Blocker[], paint: Paint): readonly string[] {
  return blockers.flatMap(({ message, advice, overridable }) => [
    `${paint("red", "✗")} ${message}`,
    `    ${advice}${overridable ? paint("dim", "  (or --override-reason)") : ""}`,
  ]);
}
