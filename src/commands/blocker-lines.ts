/** @module Why a plan is not carried out, for a person. */
import type { Paint } from "../cli/output.ts";
import type { Blocker } from "../key/rotation/usage.ts";

export function blockerLines(blockers: readonly Blocker[], paint: Paint): readonly string[] {
  return blockers.flatMap(({ message, advice, overridable }) => [
    `${paint("red", "✗")} ${message}`,
    `    ${advice}${overridable ? paint("dim", "  (or --override-reason)") : ""}`,
  ]);
}
