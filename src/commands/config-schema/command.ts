/** @module The declaration of `config schema`. */
import type { Declaration } from "../../cli/command.ts";

export const configSchemaCommand = {
  name: "config schema",
  summary: "Print the JSON Schema of the configuration file",
  description: [
    "Prints a JSON Schema (draft 2020-12) with which editors complete and check the file. Point to it from the first line of the file: # yaml-language-server: $schema=/path/to/config.schema.json",
    "The schema has no rules between fields and no bounds of durations; serve, config and doctor check these.",
  ],
  options: {},
  examples: ["config schema > config.schema.json"],
} as const satisfies Declaration;
