import { expect, test } from "bun:test";
import { goDurationNs } from "./rules.ts";

test.each<readonly [string, bigint | undefined]>([
  ["0", 0n],
  ["-0", 0n],
  ["3s", 3_000_000_000n],
  ["+1s", 1_000_000_000n],
  ["-1s", -1_000_000_000n],
  ["1h1m1s1ms1us1ns", 3_661_001_001_001n],
  ["1µs", 1000n],
  ["1μs", 1000n],
  [".5s", 500_000_000n],
  ["1.s", 1_000_000_000n],
  ["0.29us", 290n],
  ["0.5ns", 0n],
  ["0.0000000001s", 0n],
  ["9223372036854775807ns", 9_223_372_036_854_775_807n],
  ["9223372036854775808ns", undefined],
  ["9223372037s", undefined],
  ["", undefined],
  ["1", undefined],
  ["s", undefined],
  [".s", undefined],
  ["1..s", undefined],
  ["1d", undefined],
  ["1s ", undefined],
  ["1e3s", undefined],
  ["1_0s", undefined],
  ["--1s", undefined],
])("%p", (text, ns) => {
  expect(goDurationNs(text)).toBe(ns);
});
