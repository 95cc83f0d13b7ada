/** Documentation and the comments in deploy/ use plain words; `npm run check` runs it. The list is in words.ts. */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { trackedFiles } from "./reference/markdown-files.ts";
import { findWords } from "./words.ts";

const root = dirname(import.meta.dir);
const findings = trackedFiles(root, "*.md", "deploy", "examples")
  .filter((file) => !file.endsWith(".json"))
  .flatMap((file) =>
    findWords(readFileSync(join(root, file), "utf8")).map(
      ({ line, found, instead }) => `${file}:${line}: "${found}": write ${instead}`,
    ),
  );
if (findings.length > 0) {
  console.error(findings.join("\n"));
  process.exitCode = 1;
}
