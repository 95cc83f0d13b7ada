/**
 * Text as one word of a shell.
 *
 * @module One function.
 */

/** In single quotes, in which the shell looks at nothing but the next quote. */
export function quoted(text: string): string {
  return `'${text.replace(/'/g, "'\\''")}'`;
}
