/** The reference pages in docs/ are what their tables say now. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { manualPage } from "../../scripts/reference/commands-page.ts";
import { PAGES } from "../../scripts/reference/pages.ts";

const root = dirname(dirname(import.meta.dir));

test.each(Object.entries(PAGES))("%s is current (else run: npm run generate)", (path, render) => {
  expect(readFileSync(join(root, path), "utf8") === render()).toBe(true);
});

test.each([
  ["https://kms.example.org", true],
  ["https://docs.example.com", false],
])("the manual page names the homepage, unless it is a placeholder: %s", (homepage, isNamed) => {
  expect(manualPage("1.2.3", homepage).includes(`\n${homepage}, https://openbao.org`)).toBe(isNamed);
  expect(manualPage("1.2.3", homepage)).toContain("https://openbao.org, https://kubernetes.io");
});
