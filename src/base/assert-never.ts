/** @module Makes the compiler prove that a switch is exhaustive. */
export function assertNever(value: never): never {
  throw new TypeError(`unexpected value of a closed union: ${typeof value}`);
}
