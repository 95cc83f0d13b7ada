/** Documentation, messages and comments use plain words; `npm run check` runs it. The list is in words.ts. */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { trackedFiles } from "./reference/markdown-files.ts";
import { findInMarkdown, findInSource } from "./words.ts";

const SOURCES = ["deploy", "examples", "native", "packaging", "scripts", "site", "src", "test"];
/** Data, generated stubs, and the list itself with its tests. */
const NO_PROSE = /\.(?:json|lock|svg|png)$|_pb\.ts$|^scripts\/words(?:\.test)?\.ts$/;

const root = dirname(import.meta.dir);
const findings = trackedFiles(root, "*.md", ...SOURCES)
  .filter((file) => !NO_PROSE.test(file))
  .flatMap((file) => {
    const find = file.endsWith(".md") ? findInMarkdown : findInSource;
    return find(readFileSync(join(root, file), "utf8")).map(
      ({ line, found, instead }) => `${file}:${line}: "${found}": write ${instead}`,
    );
  });
if (findings.length > 0) {
  console.error(findings.join("\n"));
  process.exitCode = 1;
}
