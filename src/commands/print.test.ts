/** What the commands print that need neither OpenBao nor a cluster. */
import { expect, test } from "bun:test";
import { recordedOutput } from "../../test/fakes/recorded-output.ts";
import { buildInfo } from "../base/build-info.ts";
import { run } from "../cli/run.ts";
import { configJsonSchema } from "../config/json-schema.ts";
import { COMMANDS } from "./table.ts";

async function printed(...words: readonly string[]): Promise<string> {
  const output = recordedOutput();
  const context = { output, environment: {}, callerEnvironment: {}, signal: new AbortController().signal };
  expect(await run(words, context, COMMANDS)).toBe(0);
  return output.stdout();
}

test("version as text and as JSON", async () => {
  expect(await printed("version")).toStartWith(`bao-kms-provider ${buildInfo.version}\n`);
  expect(JSON.parse(await printed("version", "--output", "json"))).toMatchObject({
    version: buildInfo.version,
    bun: Bun.version,
  });
});

test("config schema is the JSON schema of the configuration", async () => {
  expect(JSON.parse(await printed("config", "schema"))).toEqual(
    JSON.parse(JSON.stringify(configJsonSchema())),
  );
});
