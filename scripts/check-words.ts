/** @module Documentation, messages and comments use plain words; `npm run check` runs it. A pattern matches a word in its wrong sense. */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { trackedFiles } from "./reference/markdown-files.ts";

const SOURCES = ["deploy", "examples", "native", "packaging", "scripts", "site", "src", "test"];
/** Data, generated stubs, and the list itself with its tests. */
const NO_PROSE = /\.(?:json|lock|svg|png)$|_pb\.ts$|^scripts\/check-words(?:\.test)?\.ts$/;

export interface Finding {
  readonly line: number;
  readonly found: string;
  readonly instead: string;
}

const WORDS: readonly { readonly pattern: RegExp; readonly instead: string }[] = [
  { pattern: /\bmend(?:s|ed|ing)?\b/i, instead: "fix, repair" },
  { pattern: /\bwho(?:m)?ever\b/i, instead: "anyone who" },
  { pattern: /\bwhosoever\b/i, instead: "anyone who" },
  { pattern: /\bnobody\b/i, instead: "no one, no user, no process" },
  { pattern: /\blies? under\b/i, instead: "is encrypted under" },
  { pattern: /\b(?:goes|go|going) on(?= with\b|[.,;:]| |$)/i, instead: "continues" },
  { pattern: /\bthe way (?:to|there|back)\b/i, instead: "connection, path, procedure" },
  { pattern: /\bway (?:back|in)\b/i, instead: "recovery, entry" },
  { pattern: /\bthis is the way\b/i, instead: "name the thing" },
  { pattern: /\bunder way\b/i, instead: "in progress" },
  { pattern: /\b(?:on|in) (?:its|the|their) way\b/i, instead: "name what happens to it" },
  { pattern: /\b(?:is|are|be) told\b/i, instead: "receives, gets, reports" },
  { pattern: /\bheld (?:to|against)\b/i, instead: "compared with, checked against" },
  { pattern: /\bhear[sd]? (?:it|of it)\b/i, instead: "receives" },
  { pattern: /\bno more than\b/i, instead: "at most" },
  { pattern: /\bfor ever\b/i, instead: "forever, never changes" },
  { pattern: /\bsomebody\b/i, instead: "someone" },
  { pattern: /\banybody\b/i, instead: "anyone" },
  { pattern: /\bsee to it\b/i, instead: "ensure" },
  { pattern: /\bbesides the point\b/i, instead: "irrelevant" },
  { pattern: /\bin sight\b/i, instead: "found" },
];

/** No prose: fenced blocks, code spans, and what a script recorded between its marks. */
const CODE = /^ *```[^]*?^ *```|<!-- made by [^]*?<!-- end -->|`[^`\n]*`/gm;

/** The words in a Markdown page, outside its code. */
export function findInMarkdown(text: string): readonly Finding[] {
  return findInSource(text.replace(CODE, (code) => code.replace(/[^\n]/g, "`")));
}

/** The words in program text: comments, messages and names alike. */
export function findInSource(text: string): readonly Finding[] {
  return text.split("\n").flatMap((line, index) =>
    WORDS.flatMap(({ pattern, instead }) => {
      const found = line.match(pattern)?.[0];
      return found === undefined ? [] : [{ line: index + 1, found, instead }];
    }),
  );
}

function findingsOf(root: string): readonly string[] {
  return trackedFiles(root, "*.md", ...SOURCES)
    .filter((file) => !NO_PROSE.test(file))
    .flatMap((file) => {
      const find = file.endsWith(".md") ? findInMarkdown : findInSource;
      return find(readFileSync(join(root, file), "utf8")).map(
        ({ line, found, instead }) => `${file}:${line}: "${found}": write ${instead}`,
      );
    });
}

if (import.meta.main) {
  const findings = findingsOf(dirname(import.meta.dir));
  if (findings.length > 0) {
    console.error(findings.join("\n"));
    process.exitCode = 1;
  }
}
