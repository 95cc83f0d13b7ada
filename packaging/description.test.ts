import { expect, test } from "bun:test";
import { isPlaceholder, placeholders } from "./description.ts";

test.each([
  ["https://docs.example.com/bao-kms-provider", true],
  ["https://example.com", true],
  ["A team <team@example.com>", true],
  ["https://kms.example.org/docs", false],
  ["https://example.company.org", false],
  ["https://notexample.com", false],
  ["A team <example@kms.org>", false],
])("%s is a placeholder: %p", (address, expected) => {
  expect(isPlaceholder(address)).toBe(expected);
});

test("a placeholder is named with its field, and an address of one's own is not", () => {
  const fields = { author: "A <a@example.com>", homepage: "https://kms.example.org" };
  expect(placeholders(fields)).toEqual(["author is the placeholder A <a@example.com>"]);
});
