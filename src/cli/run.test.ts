import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { configFile } from "../../test/fakes/config-file.ts";
import { recordedOutput } from "../../test/fakes/recorded-output.ts";
import { ProviderError } from "../base/error-class.ts";
import { COMMANDS } from "../commands/table.ts";
import type { Command } from "./command.ts";
import { UsageError } from "./errors.ts";
import { run } from "./run.ts";

const directory = mkdtempSync(join(tmpdir(), "cli-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const config = join(directory, "config.yaml");
writeFileSync(config, configFile(), { mode: 0o640 });

async function type(line: string, options: { commands?: typeof COMMANDS; signal?: AbortSignal } = {}) {
  const output = recordedOutput();
  const code = await run(
    line.split(" ").filter((word) => word !== ""),
    {
      output,
      environment: {},
      callerEnvironment: {},
      signal: options.signal ?? new AbortController().signal,
    },
    options.commands ?? COMMANDS,
  );
  return { code, stdout: output.stdout(), stderr: output.stderr() };
}

describe("help", () => {
  test("goes to stdout with exit 0 when asked for, to stderr with exit 2 when not", async () => {
    expect(await type("--help")).toMatchObject({ code: 0, stderr: "" });
    expect(await type("")).toMatchObject({ code: 2, stdout: "" });
  });

  test("the overview", async () => {
    expect((await type("--help")).stdout).toMatchSnapshot();
  });

  test.each(COMMANDS.map(({ name }) => name))("%s --help", async (name) => {
    const { code, stdout } = await type(`${name} --help`);
    expect(code).toBe(0);
    expect(stdout).toContain("Example");
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(100);
    expect(stdout).toMatchSnapshot();
  });
});

describe("usage", () => {
  test.each([
    ["verson", "version"],
    ["config shcema", "schema"],
    ["policy opnbao", "openbao"],
    ["config --confg x", "--config"],
    ["version --outptu json", "--output"],
  ])("%s names the nearest: %s", async (line, nearest) => {
    const { code, stdout, stderr } = await type(line);
    expect(code).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toContain(nearest);
  });

  test("every refusal says where to read on", async () => {
    expect((await type("probe --timeout soon")).stderr).toEndWith("see: bao-kms-provider probe --help\n");
    expect((await type("nonsense")).stderr).toEndWith("see: bao-kms-provider --help\n");
  });

  test("what people type by habit", async () => {
    expect(await type("--version")).toEqual(await type("version"));
    expect(await type("help")).toEqual(await type("--help"));
    expect(await type("help config schema")).toEqual(await type("config schema --help"));
  });

  test.each([
    "version extra",
    "version --output yaml",
    "config --config",
    "completion",
    "completion csh",
    "policy",
  ])("%s is refused", async (line) => {
    expect((await type(line)).code).toBe(2);
  });
});

describe("errors of commands", () => {
  const failing = (error: unknown): readonly Command[] => [
    {
      name: "fail",
      summary: "",
      description: [],
      options: {},
      examples: ["fail"],
      run: async () => {
        throw error;
      },
    },
  ];

  test("a ProviderError is printed with its advice, and its class is the exit code", async () => {
    const error = new ProviderError({
      code: "x",
      errorClass: "openbao_sealed",
      message: "sealed",
      advice: "unseal",
    });
    const { code, stderr } = await type("fail", { commands: failing(error) });
    expect(code).toBe(4);
    expect(stderr).toBe(
      "error: sealed\n  fix: unseal\nsee: /usr/share/doc/bao-kms-provider/troubleshooting.md#openbao_sealed\n",
    );
  });

  test("of any other only the kind is shown", async () => {
    const { code, stderr } = await type("fail", { commands: failing(new Error("hvs.CANARY")) });
    expect(code).toBe(1);
    expect(stderr).not.toContain("CANARY");
    expect(stderr).toEndWith("troubleshooting.md#unknown\n");
  });

  test("a command line that a command refuses leads to the command's help", async () => {
    const { code, stderr } = await type("fail", { commands: failing(new UsageError("wrong", "right")) });
    expect(code).toBe(2);
    expect(stderr).toBe("error: wrong\n  fix: right\nsee: bao-kms-provider fail --help\n");
  });

  test("an interruption is exit 5", async () => {
    const signal = AbortSignal.abort();
    expect((await type("fail", { commands: failing(signal.reason), signal })).code).toBe(5);
  });

  test("a refused configuration is exit 3 and names every problem", async () => {
    const bad = join(directory, "bad.yaml");
    writeFileSync(bad, "configVersion: v1alpha1\nserver: {socketGroup: a, x: 1}\n");
    const { code, stderr } = await type(`config --config ${bad}`);
    expect(code).toBe(3);
    for (const path of ["server.x", "openbao", "auth", "transit"]) {
      expect(stderr).toContain(`error: ${path}`);
    }
    expect(stderr.match(/^see: .*$/gm)).toEqual([
      "see: /usr/share/doc/bao-kms-provider/troubleshooting.md#config_invalid",
    ]);
  });
});

describe("commands without a network", () => {
  test("config, as text and as JSON", async () => {
    const text = await type(`config --config ${config} --log-level debug`);
    expect(text.code).toBe(0);
    expect(text.stdout.replaceAll(directory, "DIR")).toMatchSnapshot();
    const json = await type(`config --config ${config} --output json`);
    expect(JSON.parse(json.stdout)).toMatchObject({ file: config, fingerprint: expect.any(String) });
    expect(json.stdout.replaceAll(directory, "DIR")).toMatchSnapshot();
  });

  test("config schema is a JSON Schema of draft 2020-12 without unknown fields", async () => {
    const schema = JSON.parse((await type("config schema")).stdout);
    expect(schema).toMatchObject({
      $schema: "https://json-schema.org/draft/2020-12/schema",
      additionalProperties: false,
      required: ["configVersion", "server", "openbao", "auth", "transit"],
    });
    expect(JSON.stringify(schema)).not.toContain('"x-');
  });

  test("policy openbao", async () => {
    expect((await type(`policy openbao --config ${config}`)).stdout).toMatchSnapshot();
    const bare = await type(`policy openbao --config ${config} --include-token-renewal=false`);
    expect(bare.stdout).not.toContain("auth/token");
  });

  test("version", async () => {
    expect(JSON.parse((await type("version --output json")).stdout)).toMatchObject({
      version: expect.any(String),
      commit: expect.any(String),
      bun: Bun.version,
      formats: { config: "v1alpha1", kms: "v2", keyId: "obk2", associatedData: "v1" },
    });
  });
});
