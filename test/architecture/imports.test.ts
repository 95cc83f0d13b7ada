/**
 * Holds the house of docs/architecture.md: a folder imports only from lower floors; the same floor never imports its
 * neighbour; no file imports upwards, and nothing in src/ imports a test.
 */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { Glob } from "bun";

const root = join(import.meta.dir, "..", "..");
const src = join(root, "src");

/** Read from the picture itself, so that picture and rule cannot part: lines such as `src/kms/  6  what …`. */
function floors(): ReadonlyMap<string, number> {
  const picture = readFileSync(join(root, "docs", "architecture.md"), "utf8");
  return new Map(
    [...picture.matchAll(/^\s*src\/([a-z0-9-]+)\/\s+(\d+)\s/gm)].map((match) => [
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

describe("import direction", () => {
  test("every folder of src/ stands on a floor of docs/architecture.md", () => {
    const seen = new Set(files.filter((file) => file.includes("/")).map((file) => file.split("/")[0] ?? ""));
    expect([...seen].filter((folder) => !folders.has(folder))).toEqual([]);
  });

  test.each(files)("%s", (file) => {
    const folder = file.includes("/") ? (file.split("/")[0] ?? "") : "";
    const own = folder === "" ? Number.POSITIVE_INFINITY : (folders.get(folder) ?? -1);
    const wrong = importsOf(join(src, file))
      .filter((path) => path.startsWith("."))
      .map((path) => relative(src, join(src, dirname(file), path)))
      .filter((target) => {
        const targetFolder = target.split("/")[0] ?? "";
        return target.startsWith("..")
          ? target !== "../package.json"
          : targetFolder !== folder && !((folders.get(targetFolder) ?? Number.POSITIVE_INFINITY) < own);
      });
    expect(wrong).toEqual([]);
  });
});
