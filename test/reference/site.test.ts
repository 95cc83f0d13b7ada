/** The site's sidebar leads to every page that the map of the documentation has. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { linksIn } from "../../scripts/reference/markdown-links.ts";

const root = join(import.meta.dir, "..", "..");

test("each page of docs/README.md is in the sidebar", () => {
  const config = readFileSync(join(root, "site", ".vitepress", "config.mjs"), "utf8");
  const pages = linksIn(readFileSync(join(root, "docs", "README.md"), "utf8"))
    .filter((link) => link.endsWith(".md"))
    .map((link) => link.slice(0, -".md".length));
  expect(pages.length).toBeGreaterThan(20);
  expect(pages.map((page) => config.split(`"${page}"`).length - 1)).toEqual(pages.map(() => 1));
});
