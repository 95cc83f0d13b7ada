/** The daemon as a command: how it ends. What it does is tested where it is made. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync } from "node:fs";
import { makeNodeFiles, type NodeFiles } from "../../../test/fakes/node-files.ts";

let node: NodeFiles;
beforeAll(async () => {
  node = await makeNodeFiles();
});
afterAll(() => node.dispose());

test("what is wrong on this machine ends it at once, with the reason in its last line", async () => {
  chmodSync(node.at("state"), 0o777);
  const { code, stdout, stderr } = await node.type("serve", "--config", node.configPath);
  expect(code).toBe(4);
  expect(stdout).toBe("");
  expect(stderr).toStartWith("error: state.path: the directory");
  expect(stderr).toContain("; fix: chmod go-w");
});

test("a refused configuration ends it before it starts", async () => {
  expect((await node.type("serve", "--config", node.at("missing.yaml"))).code).toBe(3);
});
