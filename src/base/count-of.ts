/**
 * "1 version", "2 versions".
 *
 * @module One function, for nouns that take an s.
 */
export function countOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
