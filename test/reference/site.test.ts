/** The site has every page of the map in its sidebar, and can be built from them. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { linksIn } from "../../scripts/check-links.ts";
import { markdownFiles } from "../../scripts/reference/markdown-files.ts";

const root = join(import.meta.dir, "..", "..");

test("each page of docs/README.md is in the sidebar", () => {
  const config = readFileSync(join(root, "site", ".vitepress", "config.mjs"), "utf8");
  const pages = linksIn(readFileSync(join(root, "docs", "README.md"), "utf8"))
    .filter((link) => link.endsWith(".md"))
    .map((link) => link.slice(0, -".md".length));
  expect(pages.length).toBeGreaterThan(20);
  expect(pages.map((page) => config.split(`"${page}"`).length - 1)).toEqual(pages.map(() => 1));
});

test("double braces stand in code only, where the site does not read them as an expression", () => {
  const pages = markdownFiles(root).filter((page) => page.startsWith("docs/"));
  expect(pages.length).toBeGreaterThan(20);
  const withBraces = pages.filter((page) =>
    readFileSync(join(root, page), "utf8")
      .replace(/^ *```[^]*?^ *```|`[^`\n]*`/gm, "")
      .includes("{{"),
  );
  expect(withBraces).toEqual([]);
});
