import { expect, test } from "bun:test";
import { join } from "node:path";
import manifest from "../package.json";
import { productionPackages } from "./npm-packages.ts";

test("what the executable is made from, with what that needs, and no development tool", () => {
  const names = productionPackages(join(import.meta.dir, "..")).map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(Object.keys(manifest.dependencies)));
  const tools = Object.keys(manifest.devDependencies);
  expect(names.filter((name) => tools.includes(name) || name.startsWith("@typescript/"))).toEqual([]);
});
