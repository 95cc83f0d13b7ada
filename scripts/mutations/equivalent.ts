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

export const EQUIVALENT: readonly Equivalent[] = [];
