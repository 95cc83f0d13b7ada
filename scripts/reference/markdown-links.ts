/** The links of a Markdown page and the anchors that GitHub gives its headings. Pure. */

/** Fenced blocks and code spans: what looks like a link in them is none. */
const CODE = /^ *```[^]*?^ *```|`[^`\n]*`/gm;

export function linksIn(markdown: string): readonly string[] {
  return [...markdown.replace(CODE, "").matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = ""]) => target)
    .filter((target) => !/^[a-z]+:/.test(target));
}

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
