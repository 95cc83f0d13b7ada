/** @module The licence texts in a folder of sources of a package or crate. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const licenseFile = /^(un)?licen[cs]e|^copying|^copyright|^notice/i;

/** Of its licence files or, where it has none, of files that begin with a licence of their own (conditions for redistribution). */
export function licenseTexts(folder: string): readonly string[] {
  if (!existsSync(folder)) {
    return [];
  }
  const entries = readdirSync(folder, { withFileTypes: true });
  const own = entries.filter((entry) => entry.isFile() && licenseFile.test(entry.name));
  const texts =
    own.length > 0
      ? own.map(({ name }) => readFileSync(join(folder, name), "utf8").trim())
      : readdirSync(folder, { recursive: true, encoding: "utf8" })
          .filter((name) => /\.(js|rs)$/.test(name))
          .map((name) => firstComment(readFileSync(join(folder, name), "utf8")))
          .filter((comment) => comment.includes("Redistributions"));
  return [...new Set(texts)].sort();
}

function firstComment(source: string): string {
  const lines = source.split("\n");
  const end = lines.findIndex((line) => !line.startsWith("//"));
  return lines
    .slice(0, end)
    .map((line) => line.replace(/^\/\/ ?/, ""))
    .join("\n")
    .trim();
}
