import { expect, test } from "bun:test";
import { type PlainScalar, plainScalar } from "./plain-scalar.ts";

const kinds = (kind: PlainScalar["kind"], texts: string) =>
  texts.split(" ").map((text) => [text, kind] as const);

test.each([
  ...kinds("bool", "y Y yes Yes YES on On ON n N no No NO off Off OFF true True TRUE false False FALSE"),
  ["", "null"] as const,
  ...kinds("null", "~ null Null NULL"),
  ...kinds(
    "number",
    "0 1 +1 -1 1_000 1_ -_1 0b11 -0b11 0B1 0o17 0O7 0x1f 0X1F 017 089 2024_01_01 1e3 1. 1.e5 -1_0.5",
  ),
  ...kinds("number", ".5 .5e3 .inf +.Inf -.INF .nan .NaN .NAN 18446744073709551615 18446744073709551616"),
  ...kinds("number", "0xffffffffffffffff -0x8000000000000000 +0x7fffffffffffffff"),
  ...kinds(
    "string",
    "a tRue oFF nULL yEs _1 - + .e5 . .5_0 0b2 0o9 0x 0xg 1e 1e999 1:30 2024-01-01 << +.nan nan inf",
  ),
  ...kinds("string", "0x10000000000000000 -0x8000000000000001 +0x8000000000000000 +0b2"),
])("%p is a %s", (text, kind) => {
  expect(plainScalar(text).kind).toBe(kind);
});

test.each([
  ["1_000", 1000],
  ["0b11", 3],
  ["-0b11", -3],
  ["0o17", 15],
  ["017", 15],
  ["-0x1f", -31],
  ["089", 89],
  ["1e3", 1000],
  ["-.5", -0.5],
])("%s is %p", (text, value) => {
  expect(plainScalar(text)).toEqual({ kind: "number", value });
});
