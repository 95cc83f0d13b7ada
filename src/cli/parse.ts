/** @module From the words of a command line to a command with its values, or to what to print instead. Pure. */
import { parseArgs } from "node:util";
import { PROGRAM } from "../base/build-info.ts";
import { nearestName } from "../base/nearest-name.ts";
import type { Command, Declaration } from "./command.ts";
import { helpText, overviewText } from "./help.ts";
import { type Options, readOption } from "./option.ts";

type CommandLine =
  | {
      readonly kind: "run";
      readonly command: Command;
      readonly values: Readonly<Record<string, unknown>>;
      readonly argument: string | undefined;
    }
  | { readonly kind: "help"; readonly text: string }
  | { readonly kind: "refused"; readonly text: string };

export function parseCommandLine(args: readonly string[], commands: readonly Command[]): CommandLine {
  const [first, ...rest] = asCommand(args);
  if (first === undefined) {
    return { kind: "refused", text: overviewText(commands).trimEnd() };
  }
  const two = commands.find(({ name }) => name === `${first} ${rest[0]}`);
  const command = two ?? commands.find(({ name }) => name === first);
  if (command !== undefined) {
    return parseOptions(command, two === undefined ? rest : rest.slice(1), commands);
  }
  const members = commands.filter(({ name }) => name.startsWith(`${first} `));
  const [second] = rest;
  if (isHelp(first) || (members.length > 0 && second !== undefined && isHelp(second))) {
    return { kind: "help", text: overviewText(members.length > 0 ? members : commands) };
  }
  if (members.length > 0) {
    return second === undefined
      ? { kind: "refused", text: overviewText(members).trimEnd() }
      : unknownCommand(second, subcommandNames(first, commands), ` ${first}`);
  }
  return first.startsWith("-")
    ? unknownOption(first, ["help", "version"], "")
    : unknownCommand(first, commandNames(commands), "");
}

/** What people type by habit, as the command that it stands for. */
function asCommand([first, ...rest]: readonly string[]): readonly string[] {
  switch (first) {
    case undefined:
      return [];
    case "--version":
    case "-V":
    case "-v":
      return ["version", ...rest];
    case "help":
      return [...rest, "--help"];
    default:
      return [first, ...rest];
  }
}

function isHelp(word: string): boolean {
  return word === "--help" || word === "-h";
}

/** First words of all commands, each once; `policy` has only second words. */
export function commandNames(commands: readonly Declaration[]): readonly string[] {
  return [...new Set(commands.map(({ name }) => name.split(" ")[0] ?? ""))];
}

export function subcommandNames(first: string, commands: readonly Declaration[]): readonly string[] {
  return commands
    .filter(({ name }) => name.startsWith(`${first} `))
    .map(({ name }) => name.slice(first.length + 1));
}

interface Collected {
  readonly raw: Map<string, string | true | readonly string[]>;
  readonly positionals: readonly string[];
}

function parseOptions(command: Command, args: readonly string[], commands: readonly Command[]): CommandLine {
  const { name, options, argument } = command;
  const collected = collect(command, args);
  if (!("raw" in collected)) {
    return collected;
  }
  const refused = (problem: string): CommandLine => refusal(problem, ` ${name}`);
  const [word, extra] = collected.positionals;
  if (argument === undefined && word !== undefined) {
    const members = subcommandNames(name, commands);
    return members.length > 0
      ? unknownCommand(word, members, ` ${name}`)
      : refused(`too many arguments for '${name}': ${word}`);
  }
  if (extra !== undefined) {
    return refused(`too many arguments for '${name}': ${extra}`);
  }
  if (argument !== undefined && (word === undefined || !argument.choices.includes(word))) {
    return refused(`${argument.name} must be one of ${argument.choices.join(", ")}`);
  }
  const values: Record<string, unknown> = {};
  for (const [each, option] of Object.entries(options)) {
    const outcome = readOption(option, collected.raw.get(each));
    if ("problem" in outcome) {
      return refused(`option '--${each}' ${outcome.problem}`);
    }
    values[each] = outcome.value;
  }
  return { kind: "run", command, values, argument: word };
}

function collect(command: Command, args: readonly string[]): Collected | CommandLine {
  const { name, options } = command;
  const { tokens } = parseArgs({
    args: [...args],
    options: { help: { type: "boolean", short: "h" }, ...declared(options) },
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  if (tokens.some((token) => token.kind === "option" && token.name === "help")) {
    return { kind: "help", text: helpText(command) };
  }
  const refused = (problem: string): CommandLine => refusal(problem, ` ${name}`);
  const raw: Collected["raw"] = new Map();
  const positionals: string[] = [];
  // `--switch false` is `--switch=false`. `--list a b` is `--list a --list b`, as a shell makes it of `node-*.json`.
  let open: { readonly name: string; readonly isList: boolean; readonly next: number } | undefined;
  for (const token of tokens) {
    if (token.kind === "positional") {
      const { index, value } = token;
      if (open?.next !== index || !(open.isList || ["true", "false"].includes(value))) {
        positionals.push(value);
      } else if (open.isList) {
        raw.set(open.name, [...listOf(raw.get(open.name)), value]);
        open = { name: open.name, isList: true, next: index + 1 };
      } else {
        raw.set(open.name, value);
      }
      continue;
    }
    if (token.kind === "option-terminator") {
      continue;
    }
    const option = Object.hasOwn(options, token.name) ? options[token.name] : undefined;
    if (option === undefined || !token.rawName.startsWith("--")) {
      return unknownOption(token.rawName, [...Object.keys(options), "help"], ` ${name}`);
    }
    const { value } = token;
    if (option.kind === "flag" || option.kind === "switch") {
      if (option.kind === "flag" && value !== undefined) {
        return refused(`option '--${token.name}' takes no value`);
      }
      raw.set(token.name, value ?? true);
      open =
        option.kind === "switch" && value === undefined
          ? { name: token.name, isList: false, next: token.index + 1 }
          : undefined;
    } else if (value === undefined) {
      return refused(`option '--${token.name} <${option.placeholder}>' needs a value`);
    } else {
      const isList = option.kind === "list";
      raw.set(token.name, isList ? [...listOf(raw.get(token.name)), value] : value);
      open = isList
        ? { name: token.name, isList, next: token.index + (token.inlineValue ? 1 : 2) }
        : undefined;
    }
  }
  return { raw, positionals };
}

const listOf = (value: unknown): readonly string[] => (Array.isArray(value) ? value : []);

function declared(options: Options): Record<string, { readonly type: "boolean" | "string" }> {
  return Object.fromEntries(
    Object.entries(options).map(([name, { kind }]) => [
      name,
      { type: kind === "flag" || kind === "switch" ? "boolean" : "string" },
    ]),
  );
}

function unknownCommand(word: string, known: readonly string[], where: string): CommandLine {
  return refusal(`unknown command '${word}'${didYouMean(nearestName(word, known))}`, where);
}

function unknownOption(word: string, known: readonly string[], where: string): CommandLine {
  const near = nearestName(word.replace(/^-+/, ""), known);
  return refusal(`unknown option '${word}'${didYouMean(near === undefined ? near : `--${near}`)}`, where);
}

function didYouMean(near: string | undefined): string {
  return near === undefined ? "" : `\n(Did you mean ${near}?)`;
}

function refusal(problem: string, where: string): CommandLine {
  return { kind: "refused", text: `error: ${problem}\n  see: ${PROGRAM}${where} --help` };
}
