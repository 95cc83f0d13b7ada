/** Every relative link and anchor in the Markdown files leads somewhere; `npm run check` runs it. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { markdownFiles } from "./reference/markdown-files.ts";
import { anchorsIn, linksIn } from "./reference/markdown-links.ts";

const root = dirname(import.meta.dir);
const textOf = (file: string): string => readFileSync(file, "utf8");

const broken = markdownFiles(root).flatMap((file) =>
  linksIn(textOf(join(root, file)))
    .filter((link) => !leadsSomewhere(join(root, file), link))
    .map((link) => `${file}: ${link}`),
);

function leadsSomewhere(page: string, link: string): boolean {
  const [path = "", anchor] = link.split("#");
  const target = path === "" ? page : join(dirname(page), path);
  return (
    existsSync(target) &&
    (anchor === undefined || (statSync(target).isFile() && anchorsIn(textOf(target)).has(anchor)))
  );
}

if (broken.length > 0) {
  console.error(`Links that lead nowhere:\n${broken.join("\n")}`);
  process.exitCode = 1;
}
