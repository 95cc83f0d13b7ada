/** @module Writes the reference pages from the tables in the source: `npm run generate`. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { PAGES } from "./reference/pages.ts";

const root = dirname(import.meta.dir);
for (const [path, render] of Object.entries(PAGES)) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), render());
}
