/** Every file that SECURITY.md names as code or test of a claim exists. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dir, "..", "..");
const page = readFileSync(join(root, "SECURITY.md"), "utf8");
const named = [
  ...new Set([...page.matchAll(/`((?:src|test|deploy|scripts)\/[^`]+)`/g)].map((match) => match[1] ?? "")),
];

test("the threat model names code and tests", () => {
  expect(named.length).toBeGreaterThan(40);
});

test.each(named)("%s exists", (path) => {
  expect(existsSync(join(root, path))).toBe(true);
});
