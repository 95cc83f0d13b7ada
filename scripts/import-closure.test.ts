import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { importDistances } from "./import-closure.ts";

const root = mkdtempSync(join(tmpdir(), "closure-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const file = (path: string, text: string): void => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
};

test("imports of imports, dynamic ones, types and circles; packages are left out", () => {
  file("a.ts", 'import { b } from "./sub/b.ts";\nimport "valibot";\nimport type { D } from "./d.ts";');
  file("sub/b.ts", 'export * from "../c.ts";\nimport { a } from "../a.ts";');
  file("c.ts", 'const lazy = () => import("./sub/e.ts");');
  file("d.ts", 'import "./missing.json";');
  file("sub/e.ts", "");
  expect([...importDistances(root, "a.ts").keys()].sort()).toEqual([
    "a.ts",
    "c.ts",
    "d.ts",
    "missing.json",
    "sub/b.ts",
    "sub/e.ts",
  ]);
  expect([...importDistances(root, "sub/e.ts").keys()]).toEqual(["sub/e.ts"]);
});
