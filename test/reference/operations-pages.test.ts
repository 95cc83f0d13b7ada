/**
 * The pages of docs/operations: every command is marked, every marked one is run, every link leads somewhere.
 */
import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { blocksIn } from "../packaging/doc-blocks.ts";

const root = join(import.meta.dir, "..", "..");
const pages = join(root, "docs", "operations");
const names = readdirSync(pages).sort();
const suite = readFileSync(join(root, "test", "real", "operations-pages.real.test.ts"), "utf8");

test.each(names)("%s: every block is run, or says why not", (name) => {
  for (const { id, reason, text } of blocksIn(name, readFileSync(join(pages, name), "utf8"))) {
    expect(id ?? reason ?? `unmarked: ${text}`).not.toStartWith("unmarked");
    expect(id === undefined || suite.includes(`"${id}"`) ? "run" : id).toBe("run");
  }
});

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
