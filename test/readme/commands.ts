/**
 * @module The commands of README.md. Reads the fenced `sh` blocks, so that tests run what a reader would type and notice what
 * is new.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";

export const root = join(import.meta.dir, "..", "..");

/** The lines of each `sh` block, in order. */
export function readmeBlocks(): readonly (readonly string[])[] {
  const text = readFileSync(join(root, "README.md"), "utf8");
  return [...text.matchAll(/^```sh\n([^]*?)^```$/gm)].map((match) => (match[1] ?? "").trimEnd().split("\n"));
}

/** The first line that belongs to the block "Run it for real". */
const FOR_REAL_BEGINS = "bao secrets enable transit";

export function forRealBlock(): readonly string[] {
  const block = readmeBlocks().find(([first]) => first === FOR_REAL_BEGINS);
  if (block === undefined) {
    throw new Error(`README.md has no block that begins with: ${FOR_REAL_BEGINS}`);
  }
  return block;
}
