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
