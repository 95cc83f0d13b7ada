import { describe, expect, test } from "bun:test";
import { type Option, optionDefault, optionUsage, readOption } from "./option.ts";

const description = "";
const flag: Option = { kind: "flag", description };
const on: Option = { kind: "switch", description };
const list: Option = { kind: "list", placeholder: "L", description };
const text: Option = { kind: "text", placeholder: "T", description };
const textWith: Option = { ...text, default: "d" };
const choice: Option = { kind: "choice", placeholder: "C", choices: ["a", "b"], default: "b", description };
const time: Option = { kind: "duration", placeholder: "D", max: 2000, description };
const timeWith: Option = { ...time, default: 1500 };
const count: Option = { kind: "count", placeholder: "N", min: 2, max: 4, description };
const countWith: Option = { ...count, default: 3 };

describe("a value", () => {
  test.each<readonly [string, Option, unknown, unknown]>([
    ["flag, absent", flag, undefined, false],
    ["flag, there", flag, true, true],
    ["switch, absent", on, undefined, true],
    ["switch, there", on, true, true],
    ["switch, true", on, "true", true],
    ["switch, false", on, "false", false],
    ["list, absent", list, undefined, []],
    ["list", list, ["x", "y"], ["x", "y"]],
    ["text, absent", text, undefined, undefined],
    ["text, absent with a default", textWith, undefined, "d"],
    ["text", textWith, "x", "x"],
    ["choice, absent", choice, undefined, "b"],
    ["choice", choice, "a", "a"],
    ["duration, absent", time, undefined, undefined],
    ["duration, absent with a default", timeWith, undefined, 1500],
    ["duration, the longest", time, "2s", 2000],
    ["count, absent", count, undefined, undefined],
    ["count, absent with a default", countWith, undefined, 3],
    ["count, the least", count, "2", 2],
    ["count, the most", count, "4", 4],
    ["count, with zeros", count, "000000000004", 4],
  ])("%s", (_, option, raw, value) => {
    expect(readOption(option, raw)).toEqual({ value });
  });

  test.each<readonly [string, Option, unknown]>([
    ["switch", on, "maybe"],
    ["text", text, ""],
    ["choice", choice, "c"],
    ["choice", choice, true],
    ["duration, too long", time, "2001ms"],
    ["duration, none", time, "soon"],
    ["duration, no text", time, true],
    ["count, too few", count, "1"],
    ["count, too many", count, "5"],
    ["count, no number", count, "x"],
    ["count, no text", count, 3],
    ["count, negative", count, "-3"],
    ["count, thirteen digits", count, "0000000000003"],
  ])("%s is refused: %p", (_, option, raw) => {
    expect(readOption(option, raw)).toEqual({ problem: expect.stringMatching(/^must /) });
  });
});

test("usage and default, as a person types them", () => {
  const all = [flag, on, list, text, textWith, choice, time, timeWith, count, countWith];
  expect(all.map((option) => [optionUsage("x", option), optionDefault(option)])).toEqual([
    ["--x", undefined],
    ["--x[=false]", "true"],
    ["--x L", undefined],
    ["--x T", undefined],
    ["--x T", "d"],
    ["--x C", "b"],
    ["--x D", undefined],
    ["--x D", "1.5s"],
    ["--x N", undefined],
    ["--x N", "3"],
  ]);
});
