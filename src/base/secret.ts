/** @module A value that prints as `[secret]`: token, JWT, PIN, client secret, plaintext. */

const HIDDEN = "[secret]";
const inspect = Symbol.for("nodejs.util.inspect.custom");

/** Holds a secret; only {@link Secret.expose} gives it back, so every use of a secret can be found by name. */
export class Secret<T extends string | Uint8Array = string> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  /** The secret itself. Call it in the statement that sends the secret, and keep the result nowhere. */
  expose(): T {
    return this.#value;
  }

  toString(): string {
    return HIDDEN;
  }

  toJSON(): string {
    return HIDDEN;
  }

  [Symbol.toPrimitive](): string {
    return HIDDEN;
  }

  [inspect](): string {
    return HIDDEN;
  }
}
