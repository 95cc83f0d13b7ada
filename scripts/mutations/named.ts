/**
 * Mutations of lines that matter, which no rule makes.
 *
 * @module Data. `before` is on exactly one line of the file; the script fails when it is not.
 */
export interface NamedMutation {
  readonly file: string;
  readonly before: string;
  readonly after: string;
}

export const NAMED: readonly NamedMutation[] = [];
