/** @module `config`: the configuration that is in force. */
import type { CommandContext } from "../../cli/command.ts";
import type { ExitName } from "../../cli/exit-code.ts";
import { printReport } from "../../cli/output.ts";
import { fingerprint } from "../../key/identity/fingerprint.ts";
import { configIdentity } from "../../provider/registry.ts";
import { loadConfiguration } from "../configuration.ts";
import type { ConfigFlags } from "./command.ts";

export async function showConfig(flags: ConfigFlags, context: CommandContext): Promise<ExitName> {
  const { config, path, fields } = await loadConfiguration(flags, context);
  const shown = fields.map(({ path: field, value, origin }) => ({
    field,
    // The role id is half of a credential.
    value: field === "auth.approle.roleId" ? "[set]" : value,
    origin,
  }));
  const mark = fingerprint(configIdentity(config));
  const { output } = context;
  const width = Math.max(...shown.map(({ field }) => field.length));
  const originWidth = "environment".length;
  const lines = [
    `file         ${path}`,
    `fingerprint  ${mark}`,
    "",
    ...shown.map(
      ({ field, value, origin }) =>
        `${field.padEnd(width)}  ${output.paint("dim", origin.padEnd(originWidth))}  ${JSON.stringify(value)}`,
    ),
  ];
  printReport(output, flags.output, lines, { file: path, fingerprint: mark, fields: shown });
  return "good";
}
