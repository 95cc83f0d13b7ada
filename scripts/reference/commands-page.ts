/** @module docs/reference/commands.md and the manual page, from the command table. */

import { isPlaceholder } from "../../packaging/description.ts";
import { PROGRAM } from "../../src/base/build-info.ts";
import type { Command } from "../../src/cli/command.ts";
import { EXIT_CODES } from "../../src/cli/exit-code.ts";
import { optionText, usageLine } from "../../src/cli/help.ts";
import { optionUsage } from "../../src/cli/option.ts";
import { COMMANDS } from "../../src/commands/table.ts";
import { CONFIG_PATH_VARIABLE, OVERRIDES } from "../../src/config/load.ts";
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

const DESCRIPTION = [
  `${PROGRAM} encrypts the Secrets of a Kubernetes cluster with a key in OpenBao Transit. kube-apiserver reaches it over a Unix socket with the KMS v2 protocol. The key never leaves OpenBao.`,
  "The command serve runs the provider. All other commands prepare, check and operate it: init writes the files of a node, doctor finds what is wrong and names the fix, and audit, migrate, verify-rotation and retire-versions carry out a rotation of the key.",
] as const;

const FILES: readonly (readonly [path: string, meaning: string])[] = [
  ["/etc/openbao-kms/config.yaml", "The configuration, root:openbao-kms 0640."],
  ["/run/openbao-kms/kms.sock", "The socket. The directory has mode 2750 and the group openbao-kms-socket."],
  [
    "/var/lib/openbao-kms/state/key-registry.json",
    "The key versions that this node has seen. It has no secrets.",
  ],
  [
    "/var/lib/openbao-kms/state/key-registry.json.checkpoint",
    "The hash of the registry, which reveals a rollback.",
  ],
  ["/usr/share/doc/bao-kms-provider/README.md", "The documentation: recipes, runbooks, troubleshooting."],
  ["/usr/share/doc/bao-kms-provider/examples", "Values, configuration, drop-ins, alert rules, dashboard."],
];

const ENVIRONMENT: readonly (readonly [variable: string, meaning: string])[] = [
  [CONFIG_PATH_VARIABLE, "The path of the configuration, in place of --config."],
  ...OVERRIDES.map(({ variable, path }) => [variable, `In place of ${path.join(".")}.`] as const),
  ["NO_COLOR", "Set to any value, it turns colours off."],
];

/** The manual page, in the man(7) macros. */
export function manualPage(version: string, homepage: string): string {
  const links = [
    ...(isPlaceholder(homepage) ? [] : [homepage]),
    "https://openbao.org",
    "https://kubernetes.io/docs/tasks/administer-cluster/kms-provider/",
  ];
  const lines = [
    `.TH ${PROGRAM.toUpperCase()} 8 "" "${PROGRAM} ${version}" "System administration"`,
    ".SH NAME",
    `${PROGRAM} \\- Kubernetes KMS v2 provider for OpenBao Transit`,
    ".SH SYNOPSIS",
    ...COMMANDS.flatMap((command) => [`.B ${roff(usageLine(command))}`, ".br"]),
    ".SH DESCRIPTION",
    ...DESCRIPTION.flatMap((paragraph) => [".PP", roff(paragraph)]),
    ".SH COMMANDS",
    ...COMMANDS.flatMap(commandManual),
    ".SH EXIT STATUS",
    ...Object.values(EXIT_CODES).flatMap(({ code: number, meaning }) => term(String(number), meaning)),
    ".SH ENVIRONMENT",
    ...ENVIRONMENT.flatMap(([variable, meaning]) => term(variable, meaning)),
    ".SH FILES",
    ...FILES.flatMap(([path, meaning]) => term(path, meaning)),
    ".SH SEE ALSO",
    ".BR systemctl (1),",
    ".BR journalctl (1),",
    ".BR systemd.unit (5)",
    ".PP",
    roff(links.join(", ")),
  ];
  return `${lines.join("\n")}\n`;
}

function term(name: string, meaning: string): readonly string[] {
  return [".TP", `.B ${roff(name)}`, roff(meaning)];
}

function commandManual({ name, description, options, examples }: Command): readonly string[] {
  return [
    `.SS ${roff(name)}`,
    ...description.flatMap((paragraph) => [".PP", roff(paragraph)]),
    ...Object.entries(options).flatMap(([each, option]) =>
      term(optionUsage(each, option), optionText(option)),
    ),
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
