import { expect, test } from "bun:test";
import { assertNever } from "./assert-never.ts";

test("a value that escaped its type is an error, and is not repeated", () => {
  const call = (): unknown => Reflect.apply(assertNever, undefined, ["secret"]);
  expect(call).toThrow(new TypeError("unexpected value of a closed union: string"));
});
