import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseJson, parseJsonObject } from "./parse-json.ts";

test("what was written as JSON is read back", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = JSON.stringify(value);
      expect(parseJson(Buffer.from(text))).toEqual(JSON.parse(text));
    }),
  );
});

test("no bytes make it throw", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      parseJson(bytes);
    }),
  );
});

test.each(["", "{", "undefined", "\u0000"])("%j is not JSON", (text) => {
  expect(parseJson(text)).toBeUndefined();
});

test("text that is not UTF-8 is not JSON", () => {
  expect(parseJson(Buffer.from('"\xff"', "latin1"))).toBeUndefined();
});

test.each([
  ["efbbbf", { a: 1 }],
  ["", { a: 1 }],
  ["efbbbfefbbbf", undefined],
  ["efbb", undefined],
  ["efbbbe", undefined],
  ["efbabf", undefined],
  ["eebbbf", undefined],
  ["202020", { a: 1 }],
])("an object after the bytes %p is %p", (before, value) => {
  const bytes = Buffer.concat([Buffer.from(before, "hex"), Buffer.from('{"a":1}')]);
  expect(parseJsonObject(bytes)).toEqual(value);
});

test.each(["[1]", "null", "1", '"a"', "true"])("%s is no JSON object", (text) => {
  expect(parseJsonObject(Buffer.from(text))).toBeUndefined();
});
