/** @module `config schema`: the JSON Schema of the configuration file. */
import { defineCommand } from "../../cli/command.ts";
import { jsonText } from "../../cli/output.ts";

export const configSchemaCommand = defineCommand({
  name: "config schema",
  summary: "Print the JSON Schema of the configuration file",
  description: [
    "Prints a JSON Schema (draft 2020-12) with which editors complete and check the file. Point to it from the first line of the file: # yaml-language-server: $schema=/path/to/config.schema.json",
    "The schema has no rules between fields and no bounds of durations; serve, config and doctor check these.",
  ],
  options: {},
  examples: ["config schema > config.schema.json"],
  run: async (_, { output }) => {
    const { configJsonSchema } = await import("../../config/json-schema.ts");
    output.result(jsonText(configJsonSchema()));
    return "good";
  },
});
