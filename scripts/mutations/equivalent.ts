/**
 * Mutations by rule that change nothing that can be observed, each with its reason.
 *
 * @module Data. An entry whose line is gone has no effect.
 */
export interface Equivalent {
  readonly file: string;
  /** The line without its indentation, and what the rule makes of it. */
  readonly before: string;
  readonly after: string;
  readonly reason: string;
}

export const EQUIVALENT: readonly Equivalent[] = [
  {
    file: "src/commands/run-registry-writer.ts",
    before: "if (length > MAX_CHANGE_BYTES) {",
    after: "if (false) {",
    reason: "the decoder refuses the same bytes; this only ends the reading early",
  },
  {
    file: "src/commands/run-registry-writer.ts",
    before: "if (length > MAX_CHANGE_BYTES) {",
    after: "if (length >= MAX_CHANGE_BYTES) {",
    reason: "at exactly the bound nothing more comes",
  },
  {
    file: "src/base/duration.ts",
    before: "if (unit === undefined) {",
    after: "if (false) {",
    reason: "the pattern lets only known units through; the check is for the compiler",
  },
];
