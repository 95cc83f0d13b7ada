import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Harness, startHarness } from "../../../test/conformance/harness.ts";
import { makeNodeFiles, type NodeFiles } from "../../../test/fakes/node-files.ts";

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

const benchmark = (...words: readonly string[]) =>
  node.type("benchmark", "--config", node.configPath, "--iterations", "20", ...words);

test("directly, as text", async () => {
  const { code, stdout } = await benchmark();
  expect(code).toBe(0);
  expect(stdout).toContain("direct decrypt");
  expect(stdout).not.toContain("provider");
  expect(node.openbao.calls.at(-1)?.path).toBe("auth/token/revoke-self");
});

test("through the provider too, as JSON", async () => {
  const { code, stdout } = await benchmark(
    "--socket",
    provider.path,
    "--concurrency",
    "4",
    "--output",
    "json",
  );
  expect(code).toBe(0);
  const report = JSON.parse(stdout);
  expect(report.results.map(({ name }: { name: string }) => name)).toEqual([
    "direct encrypt",
    "direct decrypt",
    "provider status",
    "provider encrypt",
    "provider decrypt",
  ]);
  for (const { latency, failures } of report.results) {
    expect(latency.count).toBe(20);
    expect(failures).toBe(0);
  }
  expect(report.overhead).toMatchObject({ encrypt: expect.any(Number), decrypt: expect.any(Number) });
});

test("a socket that is not there is an error and no table", async () => {
  const { code, stdout, stderr } = await benchmark("--socket", node.at("missing.sock"));
  expect(code).toBe(4);
  expect(stdout).toBe("");
  expect(stderr).toContain("there is no socket");
});
