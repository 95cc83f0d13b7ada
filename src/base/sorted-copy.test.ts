import { expect, test } from "bun:test";
import { sortedCopy } from "./sorted-copy.ts";

test("keys are sorted at every level, lists keep their order, absent values go", () => {
  const value = { b: [{ d: 1, c: null }, 2, 1], a: undefined, A: "x" };
  expect(JSON.stringify(sortedCopy(value))).toBe('{"A":"x","b":[{"c":null,"d":1},2,1]}');
});

test.each(["__proto__", "constructor", "prototype"])("the name %s is refused at every level", (name) => {
  const parsed: unknown = JSON.parse(`{"a":[{"${name}":1}]}`);
  expect(() => sortedCopy(parsed)).toThrow(RangeError);
});

test("16 levels are taken, 17 are not", () => {
  const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)]);
  expect(JSON.stringify(sortedCopy(nested(16)))).toBe(`${"[".repeat(16)}1${"]".repeat(16)}`);
  expect(() => sortedCopy(nested(17))).toThrow(RangeError);
});

test("a field without a value is left out", () => {
  expect(JSON.stringify(Object.entries(Object(sortedCopy({ b: undefined, a: null }))))).toBe('[["a",null]]');
});
