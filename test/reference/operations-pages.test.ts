/** The pages of docs/operations: every link leads somewhere. Their commands: test/packaging/doc-blocks.test.ts. */
import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const root = join(import.meta.dir, "..", "..");
const pages = join(root, "docs", "operations");
const names = readdirSync(pages).sort();

test.each(names)("%s: what it links to is there", (name) => {
  const text = readFileSync(join(pages, name), "utf8");
  const headings = (markdown: string): readonly string[] =>
    [...markdown.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
      heading
        .toLowerCase()
        .replace(/[^a-z0-9 -]/g, "")
        .replaceAll(" ", "-"),
    );
  for (const [, target = ""] of text.matchAll(/\]\(([^)]+)\)/g)) {
    const [file = "", anchor] = target.split("#");
    const path = file === "" ? join(pages, name) : join(dirname(join(pages, name)), file);
    expect(existsSync(path) ? path : `missing: ${target}`).toBe(path);
    if (anchor !== undefined) {
      expect(headings(readFileSync(path, "utf8"))).toContain(anchor);
    }
  }
});
