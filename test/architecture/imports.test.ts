/**
 * Holds the code to the picture in docs/architecture.md: a folder imports only from lower floors, a command's folder imports
 * no other command's folder, and nothing in src/ imports a test.
 */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { Glob } from "bun";

const root = join(import.meta.dir, "..", "..");
const src = join(root, "src");

/** Read from the picture itself, so that picture and rule cannot disagree: lines such as `src/kms/  6  what …`. */
function floors(): ReadonlyMap<string, number> {
  const picture = readFileSync(join(root, "docs", "architecture.md"), "utf8");
  return new Map(
    [...picture.matchAll(/^\s*src\/([a-z0-9/-]+)\/\s+(\d+)\s/gm)].map((match) => [
      match[1] ?? "",
      Number(match[2]),
    ]),
  );
}

const transpiler = new Bun.Transpiler({ loader: "ts" });

function importsOf(file: string): readonly string[] {
  const text = readFileSync(file, "utf8");
  const types = [...text.matchAll(/^\s*(?:import|export)\s+type\s[^;]*?from\s+"([^"]+)"/gm)].map(
    (match) => match[1] ?? "",
  );
  return [...transpiler.scanImports(text).map((each) => each.path), ...types];
}

const folders = floors();
const files = [...new Glob("**/*.ts").scanSync(src)].filter((file) => !file.includes(".test.")).sort();

/** The folder of the picture that a file is in: `key/registry`, or `kms`. */
function folderOf(file: string): string | undefined {
  const [first = "", second = ""] = file.split("/");
  return [`${first}/${second}`, first].find((folder) => folders.has(folder));
}

/** The command whose folder a file is in. */
function commandOf(file: string): string | undefined {
  return /^commands\/([^/]+)\//.exec(file)?.[1];
}

function mayImport(file: string, target: string): boolean {
  if (target.startsWith("..")) {
    return target === "../package.json" || target.startsWith("../deploy/");
  }
  const [from, to] = [folderOf(file), folderOf(target)];
  if (from === to) {
    return file === "commands/table.ts" || [undefined, commandOf(file)].includes(commandOf(target));
  }
  const floor = file.includes("/") ? (folders.get(from ?? "") ?? -1) : Number.POSITIVE_INFINITY;
  return (folders.get(to ?? "") ?? Number.POSITIVE_INFINITY) < floor;
}

describe("import direction", () => {
  test("every folder of src/ stands on a floor of docs/architecture.md", () => {
    expect(files.filter((file) => file.includes("/") && folderOf(file) === undefined)).toEqual([]);
  });

  test.each(files)("%s", (file) => {
    const wrong = importsOf(join(src, file))
      .filter((path) => path.startsWith("."))
      .map((path) => relative(src, join(src, dirname(file), path)))
      .filter((target) => !mayImport(file, target));
    expect(wrong).toEqual([]);
  });
});
