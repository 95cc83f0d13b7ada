/** @module Help texts for 80 columns, made from the command table. Pure. */
import { PROGRAM } from "../base/build-info.ts";
import type { Declaration } from "./command.ts";
import { EXIT_CODES } from "./exit-code.ts";
import { type Option, optionDefault, optionUsage } from "./option.ts";

const WIDTH = 80;
const GUTTER = 2;

export function overviewText(commands: readonly Declaration[]): string {
  return [
    "Kubernetes KMS v2 provider for OpenBao Transit.",
    "",
    `Usage: ${PROGRAM} COMMAND [OPTIONS]`,
    "",
    "Commands:",
    ...columns(commands.map(({ name, summary }) => [name, summary])),
    "",
    `${PROGRAM} COMMAND --help explains a command and shows an example.`,
    "",
    "Exit codes:",
    ...columns(Object.values(EXIT_CODES).map(({ code, meaning }) => [String(code), meaning])),
    "",
  ].join("\n");
}

export function helpText(command: Declaration): string {
  const { description, argument, options, examples } = command;
  const rows = Object.entries(options).map(([each, option]): readonly [string, string] => [
    optionUsage(each, option),
    optionText(option),
  ]);
  return [
    `Usage: ${usageLine(command)}`,
    "",
    ...description.flatMap((paragraph) => wrap(paragraph, WIDTH).concat("")),
    ...(argument === undefined ? [] : ["Argument:", ...columns([[argument.name, argument.description]]), ""]),
    "Options:",
    ...columns([...rows, ["-h, --help", "This text"]]),
    "",
    examples.length === 1 ? "Example:" : "Examples:",
    ...examples.map((example) => `  ${PROGRAM} ${example}`),
    "",
  ].join("\n");
}

export function usageLine({ name, argument, options }: Declaration): string {
  return [
    PROGRAM,
    name,
    ...(argument === undefined ? [] : [argument.choices.join("|")]),
    ...(Object.keys(options).length === 0 ? [] : ["[OPTIONS]"]),
  ].join(" ");
}

export function optionText(option: Option): string {
  const fallback = optionDefault(option);
  return [
    option.description,
    ...(option.kind === "choice" ? [`(${option.choices.join(", ")})`] : []),
    ...(option.kind === "list" ? ["(repeatable)"] : []),
    ...(fallback === undefined ? [] : [`[default: ${fallback}]`]),
  ].join(" ");
}

/** Two aligned columns; a left cell that is too long stands on a line of its own. */
function columns(rows: readonly (readonly [left: string, right: string])[]): readonly string[] {
  const left = Math.min(Math.max(...rows.map(([each]) => each.length)), 30) + GUTTER;
  return rows.flatMap(([name, text]) => {
    const [first = "", ...rest] = wrap(text, WIDTH - left - GUTTER);
    const isLong = name.length > left - GUTTER;
    return [
      ...(isLong ? [indented(GUTTER, name)] : []),
      indented(GUTTER, (isLong ? "" : name).padEnd(left) + first),
      ...rest.map((line) => indented(GUTTER + left, line)),
    ];
  });
}

function indented(width: number, text: string): string {
  return " ".repeat(width) + text;
}

/** Breaks at blanks; a word that is longer than a line stays whole. */
function wrap(text: string, width: number): readonly string[] {
  return text.match(new RegExp(`\\S.{0,${width - 1}}(?= |$)|\\S+`, "g")) ?? [""];
}
