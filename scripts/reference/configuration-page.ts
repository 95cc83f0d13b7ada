/** @module docs/reference/configuration.md, from the configuration's schema. */
import { type FieldRow, fieldTable } from "../../src/config/field-table.ts";
import { CONFIG_PATH_VARIABLE, OVERRIDES } from "../../src/config/load.ts";
import { configSchema } from "../../src/config/schema.ts";
import { code, GENERATED, table } from "./markdown.ts";

export function configurationPage(): string {
  const rows = fieldTable(configSchema);
  const sections = Map.groupBy(rows, ({ path }) => path.split(".")[0] ?? "");
  return `# Configuration file
${GENERATED}

YAML, one document, at most 64 KiB. Unknown fields are refused at every level. Durations are written as in Go: \`500ms\`,
\`2s\`, \`5m\`, \`1h30m\`. \`bao-kms-provider config\` shows what is in force and where each value came from;
\`bao-kms-provider config schema\` prints a JSON Schema for editors, which is also in
[config.schema.json](config.schema.json): put \`# yaml-language-server: $schema=PATH\` on the first line of the file.

The file belongs to root or the service's user and cannot be written by its group or others.

${[...sections].map(sectionText).join("\n\n")}

## Environment and flags

A flag wins over the environment, which wins over the file. Nothing else is read from the environment, and secrets never
are.

${table(
  ["variable", "flag", "in place of"],
  [
    [code(CONFIG_PATH_VARIABLE), code("--config"), "the path of the file"],
    ...OVERRIDES.map(({ variable, flag, path }) => [
      code(variable),
      code(`--${flag.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`),
      code(path.join(".")),
    ]),
  ],
)}
`;
}

function sectionText([section, rows]: readonly [string, readonly FieldRow[]]): string {
  return `## ${section}\n\n${table(
    ["field", "default", "value", "meaning"],
    rows
      .filter(({ kind }) => kind === "value")
      .map((row) => [
        code(row.path),
        defaultText(row),
        row.example === undefined ? row.expected : `${row.expected}, e.g. ${code(row.example)}`,
        row.description,
      ]),
  )}`;
}

function defaultText({ required, defaultValue }: FieldRow): string {
  if (defaultValue === undefined) {
    return required ? "required" : "none";
  }
  return code(JSON.stringify(defaultValue));
}
