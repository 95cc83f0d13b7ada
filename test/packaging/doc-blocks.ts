/**
 * @module The shell commands of the deployment and operations pages, as the tests run them. A block of `sh` in a page is
 * preceded by `<!-- run: NAME -->`, and a test runs it as `docBlock("page.md#NAME")`; or by `<!-- not run: REASON -->`.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const docs = join(import.meta.dir, "..", "..", "docs");

export interface DocBlock {
  /** `page.md#NAME`; undefined for a block that no test runs. */
  readonly id: string | undefined;
  readonly reason: string | undefined;
  readonly page: string;
  readonly text: string;
}

export function blocksIn(page: string, markdown: string): readonly DocBlock[] {
  const pattern = /(?:<!-- (run|not run): ([^>]*?) -->\n\n?)?```sh\n([\s\S]*?)```/g;
  return [...markdown.matchAll(pattern)].map(([, kind, words, text = ""]) => ({
    page,
    id: kind === "run" ? `${page}#${words}` : undefined,
    reason: kind === "not run" ? words : undefined,
    text,
  }));
}

export function allBlocks(): readonly DocBlock[] {
  const pages = [
    ...["deployment", "operations"].flatMap((folder) =>
      readdirSync(join(docs, folder)).map((name) => [name, join(docs, folder, name)] as const),
    ),
    ["hardening.md", join(docs, "security", "hardening.md")] as const,
  ];
  return pages.flatMap(([name, path]) => blocksIn(name, readFileSync(path, "utf8")));
}

export function docBlock(id: string): string {
  const found = allBlocks().filter((block) => block.id === id);
  if (found.length !== 1 || found[0] === undefined) {
    throw new Error(`${found.length} blocks in docs/ are marked as ${id}`);
  }
  return found[0].text;
}
