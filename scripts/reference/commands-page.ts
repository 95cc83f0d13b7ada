/**
 * docs/reference/commands.md and the manual page.
 *
 * @module Made from the command table.
 */
import type { Command } from "../../src/cli/command.ts";
import { EXIT_CODES } from "../../src/cli/exit-code.ts";
import { optionText, usageLine } from "../../src/cli/help.ts";
import { optionUsage } from "../../src/cli/option.ts";
import { PROGRAM } from "../../src/cli/program.ts";
import { COMMANDS } from "../../src/commands/table.ts";
import { code, GENERATED, table } from "./markdown.ts";

export function commandsPage(): string {
  return `# Commands
${GENERATED}

Results go to stdout, everything else to stderr. Colours appear on a terminal only, and never with \`NO_COLOR\`. Nothing
prints a plaintext, token, JWT, PIN or whole ciphertext.

## Exit codes

${table(
  ["code", "meaning"],
  Object.values(EXIT_CODES).map(({ code: number, meaning }) => [String(number), meaning]),
)}

${COMMANDS.map(commandText).join("\n\n")}
`;
}

function commandText(command: Command): string {
  const { name, description, argument, options, examples } = command;
  const rows = [
    ...(argument === undefined ? [] : [[code(argument.name), argument.description]]),
    ...Object.entries(options).map(([each, option]) => [code(optionUsage(each, option)), optionText(option)]),
  ];
  return [
    `## ${name}`,
    "",
    code(usageLine(command)),
    "",
    description.join("\n\n"),
    "",
    ...(rows.length === 0 ? [] : [table(["option", "meaning"], rows), ""]),
    "```sh",
    ...examples.map((example) => `${PROGRAM} ${example}`),
    "```",
  ].join("\n");
}

/** The manual page, in the man(7) macros. */
export function manualPage(version: string): string {
  const lines = [
    `.TH ${PROGRAM.toUpperCase()} 8 "" "${PROGRAM} ${version}" "System administration"`,
    ".SH NAME",
    `${PROGRAM} \\- Kubernetes KMS v2 provider for OpenBao Transit`,
    ".SH SYNOPSIS",
    ...COMMANDS.flatMap((command) => [`.B ${roff(usageLine(command))}`, ".br"]),
    ".SH COMMANDS",
    ...COMMANDS.flatMap(commandManual),
    ".SH EXIT STATUS",
    ...Object.values(EXIT_CODES).flatMap(({ code: number, meaning }) => [
      ".TP",
      `.B ${number}`,
      roff(meaning),
    ]),
    ".SH ENVIRONMENT",
    "BAO_KMS_PROVIDER_CONFIG, BAO_KMS_PROVIDER_LOG_LEVEL, BAO_KMS_PROVIDER_SERVER_METRICS_ADDRESS,",
    "BAO_KMS_PROVIDER_SERVER_HEALTH_ADDRESS, NO_COLOR",
  ];
  return `${lines.join("\n")}\n`;
}

function commandManual({ name, description, options, examples }: Command): readonly string[] {
  return [
    `.SS ${roff(name)}`,
    ...description.flatMap((paragraph) => [".PP", roff(paragraph)]),
    ...Object.entries(options).flatMap(([each, option]) => [
      ".TP",
      `.B ${roff(optionUsage(each, option))}`,
      roff(optionText(option)),
    ]),
    ".PP",
    "Example:",
    ".PP",
    ".nf",
    ...examples.map((example) => roff(`  ${PROGRAM} ${example}`)),
    ".fi",
  ];
}

/** Text that neither begins a request nor loses its dashes and backslashes. */
function roff(text: string): string {
  return text
    .replace(/\\/g, "\\e")
    .replace(/-/g, "\\-")
    .replace(/^([.'])/gm, "\\&$1");
}
