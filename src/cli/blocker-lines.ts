/**
 * Why a plan is not carried out, for a person.
 *
 * @module One wording for retire-versions, restore-versions and rebuild-registry.
 */
import type { Blocker } from "../rotation/usage.ts";
import type { Paint } from "./output.ts";

export function blockerLines(blockers: readonly Blocker[], paint: Paint): readonly string[] {
  return blockers.flatMap(({ message, advice, overridable }) => [
    `${paint("red", "✗")} ${message}`,
    `    ${advice}${overridable ? paint("dim", "  (or --override-reason)") : ""}`,
  ]);
}
