/** What commands print with --output json is what docs/reference/reports/ says, in good times and in bad. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import * as v from "valibot";
import { REPORT_SCHEMAS } from "../../scripts/reference/report-schemas.ts";
import { type Harness, startHarness } from "../conformance/harness.ts";
import { makeNodeFiles, type NodeFiles } from "../fakes/node-files.ts";
import { faults } from "../fakes/openbao/faults.ts";

let node: NodeFiles;
let provider: Harness;
beforeAll(async () => {
  node = await makeNodeFiles();
  provider = await startHarness();
});
afterAll(async () => {
  await provider.stop();
  await node.dispose();
});

type ReportName = keyof typeof REPORT_SCHEMAS;

const commandLines: readonly (readonly [ReportName, () => readonly string[]])[] = [
  ["doctor", () => ["--config", node.configPath]],
  ["doctor", () => ["--config", node.at("missing.yaml")]],
  ["probe", () => ["--socket", provider.path]],
  ["probe", () => ["--socket", provider.path, "--config", node.configPath]],
  ["probe", () => ["--socket", node.at("missing.sock")]],
  ["verify-key", () => ["--config", node.configPath]],
  ["rotation-plan", () => ["--config", node.configPath]],
  ["benchmark", () => ["--config", node.configPath, "--socket", provider.path, "--iterations", "3"]],
  ["config", () => ["--config", node.configPath]],
  ["version", () => []],
];

const issues = (name: ReportName, text: string) =>
  (v.safeParse(REPORT_SCHEMAS[name], JSON.parse(text)).issues ?? []).map((issue) => v.getDotPath(issue));

describe("all well", () => {
  test.each(commandLines)("%s", async (name, words) => {
    const { stdout } = await node.type(name, ...words(), "--output", "json");
    expect(issues(name, stdout)).toEqual([]);
  });
});

describe("OpenBao sealed", () => {
  test.each(commandLines.filter(([name]) => ["doctor", "verify-key", "rotation-plan"].includes(name)))(
    "%s",
    async (name, words) => {
      const recover = node.openbao.inject(faults.sealed);
      const { stdout } = await node.type(name, ...words(), "--output", "json");
      recover();
      expect(issues(name, stdout)).toEqual([]);
    },
  );
});
