/** @module The pieces of Markdown that the reference pages are made of. */
export const GENERATED =
  "<!-- Made by scripts/generate-reference.ts; edit its sources, then run: npm run generate -->";

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

/** Text for one cell. */
function cell(text: string): string {
  return text.replace(/\|/g, "\\|").replace(/\n/g, " ");
}

export const code = (text: string): string => (text === "" ? "" : `\`${text}\``);

/** Ends the part of a page that a script records; the words around it are written by hand. */
const END = "<!-- end -->";

/** The page with another recorded part. @throws when the page has lost its marks. */
export function withRecordedPart(page: string, file: string, begin: string, text: string): string {
  const start = page.indexOf(begin);
  const end = page.indexOf(END);
  if (start < 0 || end < start) {
    throw new Error(`${file} has lost the lines ${begin} and ${END}`);
  }
  return `${page.slice(0, start)}${begin}\n\n${text.trimEnd()}\n\n${page.slice(end)}`;
}
