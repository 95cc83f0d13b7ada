/** @module `config schema`: the JSON Schema of the configuration file. */
import type { CommandContext } from "../../cli/command.ts";
import type { ExitName } from "../../cli/exit-code.ts";
import { jsonText } from "../../cli/output.ts";
import { configJsonSchema } from "../../config/json-schema.ts";

export async function configSchema(_: unknown, { output }: CommandContext): Promise<ExitName> {
  output.result(jsonText(configJsonSchema()));
  return "good";
}
