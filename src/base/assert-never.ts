/**
 * Makes the compiler prove that a switch is exhaustive.
 *
 * @module One function; it throws only when a value escaped its type.
 */
export function assertNever(value: never): never {
  throw new TypeError(`unexpected value of a closed union: ${typeof value}`);
}
