/** @module A deep copy with sorted keys, for hashes that do not depend on the order in which a value was built. */

/** Deeper nesting than any document here needs; bounds the recursion over hostile bytes. */
const MAX_DEPTH = 16;
/** Names to which JavaScript gives a meaning of its own; validation would drop them, so they are refused instead. */
const FORBIDDEN_KEYS: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype"]);

/** @throws RangeError when the value is nested too deeply or uses a forbidden name. */
export function sortedCopy(value: unknown, depth = 0): unknown {
  if (typeof value !== "object" || value === null) {
    return value;
  }
  if (depth === MAX_DEPTH) {
    throw new RangeError("nested too deeply");
  }
  if (Array.isArray(value)) {
    return value.map((each) => sortedCopy(each, depth + 1));
  }
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, each]) => each !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, each]) => {
        if (FORBIDDEN_KEYS.has(key)) {
          throw new RangeError("a field has a reserved name");
        }
        return [key, sortedCopy(each, depth + 1)];
      }),
  );
}
