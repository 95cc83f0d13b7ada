/** @module May this PIN be tried? A token locks after a few wrong ones, so a wrong PIN is given to it exactly once. */
import * as v from "valibot";
import { assertNever } from "../base/assert-never.ts";
import { parseJson } from "../base/parse-json.ts";
import { type FileIdentity, isSameFile } from "../base/safe-file.ts";

const identitySchema = v.strictObject({
  inode: v.pipe(v.string(), v.regex(/^\d{1,20}:\d{1,20}$/)),
  changedNs: v.pipe(v.string(), v.regex(/^-?\d{1,25}$/)),
  sizeBytes: v.pipe(v.number(), v.integer(), v.minValue(0)),
});
const latchSchema = v.variant("state", [
  /** A try is in progress or was interrupted: its result is unknown. */
  v.strictObject({
    state: v.literal("trying"),
    pinFile: identitySchema,
    /** The token took this PIN before. */
    proven: v.boolean(),
    /** Tries of this PIN whose outcome is not known, this one included. */
    unknownOutcomes: v.pipe(v.number(), v.integer(), v.minValue(1)),
  }),
  v.strictObject({ state: v.literal("accepted"), pinFile: identitySchema }),
  v.strictObject({ state: v.literal("refused"), pinFile: identitySchema }),
]);

export type PinLatch = v.InferOutput<typeof latchSchema>;
type PinTry = Extract<PinLatch, { state: "trying" }>;

export function decodePinLatch(text: string): PinLatch | undefined {
  const result = v.safeParse(latchSchema, parseJson(text));
  return result.success ? result.output : undefined;
}

type PinDecision =
  /** Store `record`, then try. `afterUnknown`: only if the token has not counted a wrong PIN since the last good one. */
  | { readonly kind: "try"; readonly record: PinTry; readonly afterUnknown: boolean }
  | { readonly kind: "refused" }
  /** It was tried and the outcome is not known, as often as may be. */
  | { readonly kind: "unknown" };

/**
 * A PIN that the token never took gets so many tries with an unknown outcome. Each but the first depends on the token's
 * own count of wrong tries, but not every token keeps one (PKCS#11 leaves it open).
 */
const MAX_UNKNOWN_OUTCOMES = 2;

export function decidePinTry(latch: PinLatch | undefined, pinFile: FileIdentity): PinDecision {
  const fresh: PinTry = { state: "trying", pinFile, proven: false, unknownOutcomes: 1 };
  if (latch === undefined || !isSameFile(latch.pinFile, pinFile)) {
    return { kind: "try", record: fresh, afterUnknown: false };
  }
  switch (latch.state) {
    case "refused":
      return { kind: "refused" };
    case "accepted":
      return { kind: "try", record: { ...fresh, proven: true }, afterUnknown: false };
    case "trying": {
      if (!latch.proven && latch.unknownOutcomes >= MAX_UNKNOWN_OUTCOMES) {
        return { kind: "unknown" };
      }
      const record = { ...latch, unknownOutcomes: latch.unknownOutcomes + 1 };
      return { kind: "try", record, afterUnknown: true };
    }
    default:
      return assertNever(latch);
  }
}

/** What a try showed. `untried`: the token was not given the PIN. */
export type PinOutcome = "untried" | "accepted" | "refused" | "unknown";

/** The record after a try; `before` is the one from before it. `undefined` means that there is none. */
export function afterPinTry(
  before: PinLatch | undefined,
  attempt: PinTry,
  outcome: PinOutcome,
): PinLatch | undefined {
  switch (outcome) {
    case "untried":
      return before;
    case "accepted":
      return { state: "accepted", pinFile: attempt.pinFile };
    case "refused":
      return { state: "refused", pinFile: attempt.pinFile };
    case "unknown":
      return attempt;
    default:
      return assertNever(outcome);
  }
}
