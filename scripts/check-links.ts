/** @module Every relative link and anchor in the Markdown files leads somewhere; `npm run check` runs it. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { markdownFiles } from "./reference/markdown-files.ts";

/** Fenced blocks and code spans: what looks like a link in them is none. */
const CODE = /^ *```[^]*?^ *```|`[^`\n]*`/gm;

export function linksIn(markdown: string): readonly string[] {
  return [...markdown.replace(CODE, "").matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = ""]) => target)
    .filter((target) => !/^[a-z]+:/.test(target));
}

/** The anchors that GitHub gives the headings. */
export function anchorsIn(markdown: string): ReadonlySet<string> {
  const seen = new Map<string, number>();
  const headings = [...markdown.replace(/^ *```[^]*?^ *```/gm, "").matchAll(/^#{1,6} (.*)$/gm)];
  return new Set(
    headings.map(([, heading = ""]) => {
      const slug = slugOf(heading);
      const earlier = seen.get(slug) ?? 0;
      seen.set(slug, earlier + 1);
      return earlier === 0 ? slug : `${slug}-${earlier}`;
    }),
  );
}

function slugOf(heading: string): string {
  return heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{Letter}\p{Number}_ -]/gu, "")
    .replaceAll(" ", "-");
}

const textOf = (file: string): string => readFileSync(file, "utf8");

function leadsSomewhere(page: string, link: string): boolean {
  const [path = "", anchor] = link.split("#");
  const target = path === "" ? page : join(dirname(page), path);
  return (
    existsSync(target) &&
    (anchor === undefined || (statSync(target).isFile() && anchorsIn(textOf(target)).has(anchor)))
  );
}

if (import.meta.main) {
  const root = dirname(import.meta.dir);
  const broken = markdownFiles(root).flatMap((file) =>
    linksIn(textOf(join(root, file)))
      .filter((link) => !leadsSomewhere(join(root, file), link))
      .map((link) => `${file}: ${link}`),
  );
  if (broken.length > 0) {
    console.error(`Links that lead nowhere:\n${broken.join("\n")}`);
    process.exitCode = 1;
  }
}
