import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { visible, visibleLines } from "./visible-text.ts";

const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/u;
const hostile = fc.string({
  unit: fc.oneof(
    fc.constantFrom("\n", "\r", "\u001b", "\u202e", "\u0085", "\u2028", "\u200b", "\ud800", "a", "é", "字"),
    fc.string({ unit: "binary", minLength: 1, maxLength: 1 }),
  ),
});

describe("visible", () => {
  test("holds no invisible character, whatever came in", () => {
    fc.assert(fc.property(hostile, (text) => expect(INVISIBLE.test(visible(text))).toBe(false)));
  });

  test.each([
    ["plain näme 字 😀", "plain näme 字 😀"],
    ["a\nb", "a\\u000ab"],
    ["\u001b[31mred", "\\u001b[31mred"],
    ["\u202egnp.exe", "\\u202egnp.exe"],
    ["a\u{e0001}b", "a\\udb40\\udc01b"],
    ["\u0085\u2028\u2029", "\\u0085\\u2028\\u2029"],
    ["\ud800", "\\ud800"],
  ])("%j", (text, shown) => {
    expect(visible(text)).toBe(shown);
  });
});

describe("visibleLines", () => {
  test("keeps line breaks, and nothing else that is invisible", () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const shown = visibleLines(text, false);
        expect(shown.split("\n").some((line) => INVISIBLE.test(line))).toBe(false);
        expect(shown.split("\n").length).toBe(text.split("\n").length);
      }),
    );
  });

  test("keeps colours only where they are wanted, and no other sequence", () => {
    expect(visibleLines("\u001b[32m✓\u001b[0m a\nb", true)).toBe("\u001b[32m✓\u001b[0m a\nb");
    expect(visibleLines("\u001b[32m✓", false)).toBe("\\u001b[32m✓");
    expect(visibleLines("a\u001b[31mb\r\u0007\u009bc\u202e\n✓ é\t", false)).toBe(
      "a\\u001b[31mb\\u000d\\u0007\\u009bc\\u202e\n✓ é\\u0009",
    );
    expect(visibleLines("\u001b[2J\u001b]0;title\u0007", true)).toBe("\\u001b[2J\\u001b]0;title\\u0007");
  });
});
