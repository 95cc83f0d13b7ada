/**
 * The reference pages in docs/ are what their tables say now.
 */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { PAGES } from "../../scripts/reference/pages.ts";

const root = dirname(dirname(import.meta.dir));

test.each(Object.entries(PAGES))("%s is current (else run: npm run generate)", (path, render) => {
  expect(readFileSync(join(root, path), "utf8") === render()).toBe(true);
});
