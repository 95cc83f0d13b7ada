/** @module The part of a page that a script records, between its marks; the words around it are written by hand. */
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
