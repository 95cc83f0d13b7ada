/** Every command in the deployment and operations pages is run by a test, or says why not. */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { allBlocks } from "./doc-blocks.ts";

const tests = ["packaging", "systemd", "kube-node", "real"]
  .flatMap((folder) => {
    const path = join(import.meta.dir, "..", folder);
    return readdirSync(path).map((name) => join(path, name));
  })
  .filter((path) => path.endsWith(".ts"))
  .map((path) => readFileSync(path, "utf8"))
  .join("\n");

test("every block of commands is named, or says why it is not run", () => {
  const silent = allBlocks().filter((block) => block.id === undefined && (block.reason ?? "") === "");
  expect(silent.map((block) => `${block.page}: ${block.text}`)).toEqual([]);
});

test("every named block is run by a test", () => {
  const unused = allBlocks().flatMap(({ id }) => (id === undefined || tests.includes(`"${id}"`) ? [] : [id]));
  expect(unused).toEqual([]);
});
