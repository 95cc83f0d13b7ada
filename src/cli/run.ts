/**
 * From the command line to the exit.
 *
 * @module Parses with commander, calls the command, prints what went wrong, and says with which code to end. Ends nothing
 * itself.
 */
import { CommanderError, Command as Parser } from "commander";
import { nearestName } from "../base/nearest-name.ts";
import type { Command, CommandContext } from "./command.ts";
import { describeError } from "./describe-error.ts";
import { EXIT_CODES, type ExitName, exitOfError } from "./exit-code.ts";
import { helpText, overviewText } from "./help.ts";
import { readOption } from "./option.ts";
import { PROGRAM } from "./program.ts";
import { UsageError } from "./usage-error.ts";

/** Runs one command line, without the program's name, to its exit code. */
export async function run(
  args: readonly string[],
  context: CommandContext,
  commands: readonly Command[],
): Promise<number> {
  let exit: ExitName = "good";
  const root = parserOf(commands, context, (next) => {
    exit = next;
  });
  try {
    if (args.length === 0) {
      context.output.say(overviewText(commands).trimEnd());
      return EXIT_CODES.usage.code;
    }
    await root.parseAsync([...asCommand(args)], { from: "user" });
  } catch (error) {
    exit = exitAfter(error, context);
  }
  return EXIT_CODES[exit].code;
}

/** What people type by habit, as the command that it stands for. */
function asCommand([first, ...rest]: readonly string[]): readonly string[] {
  switch (first) {
    case undefined:
      return [];
    case "--version":
      return ["version", ...rest];
    case "help":
      return [...rest, "--help"];
    default:
      return [first, ...rest];
  }
}

/** Prints what was thrown, if that is not done yet, and says how to end. */
function exitAfter(error: unknown, { output, signal }: CommandContext): ExitName {
  if (error instanceof CommanderError) {
    return error.exitCode === 0 ? "good" : "usage";
  }
  if (signal.aborted) {
    output.say("interrupted");
    return "interrupted";
  }
  for (const line of describeError(error)) {
    output.say(line);
  }
  return error instanceof UsageError ? "usage" : exitOfError(error);
}

function parserOf(
  commands: readonly Command[],
  context: CommandContext,
  onExit: (exit: ExitName) => void,
): Parser {
  const root = baseParser(new Parser(PROGRAM), context, "");
  root.helpInformation = () => overviewText(commands);
  const parents = new Map<string, Parser>();
  for (const command of commands) {
    const [first = "", second] = command.name.split(" ");
    const parser = baseParser(
      second === undefined
        ? root.command(first)
        : parentOf(first, root, parents, commands, context).command(second),
      context,
      ` ${command.name}`,
    );
    parser.helpInformation = () => helpText(command);
    if (second === undefined) {
      parents.set(first, parser);
      parser.allowExcessArguments(commands.some(({ name }) => name.startsWith(`${first} `)));
    }
    addCommand(parser, command, context, onExit);
  }
  return root;
}

/** The parser of the first word of a two-word command, which may be a command itself or no more than a group. */
function parentOf(
  word: string,
  root: Parser,
  parents: Map<string, Parser>,
  commands: readonly Command[],
  context: CommandContext,
): Parser {
  const known = parents.get(word);
  if (known !== undefined) {
    return known;
  }
  const group = baseParser(root.command(word), context, ` ${word}`);
  group.helpInformation = () => overviewText(commands.filter(({ name }) => name.startsWith(`${word} `)));
  parents.set(word, group);
  return group;
}

/** What every parser has in common: nothing is printed but through `output`, nothing ends the process. */
function baseParser(parser: Parser, { output }: CommandContext, name: string): Parser {
  return parser
    .exitOverride()
    .helpCommand(false)
    .helpOption("-h, --help")
    .allowExcessArguments(false)
    .showSuggestionAfterError(true)
    .showHelpAfterError(`  see: ${PROGRAM}${name} --help`)
    .configureOutput({
      writeOut: (text) => output.result(text),
      writeErr: (text) => output.say(text.trimEnd()),
      outputError: (text, write) => write(text),
    });
}

function addCommand(
  parser: Parser,
  command: Command,
  context: CommandContext,
  onExit: (exit: ExitName) => void,
): void {
  for (const [name, option] of Object.entries(command.options)) {
    switch (option.kind) {
      case "flag":
        parser.option(`--${name}`);
        break;
      case "switch":
        parser.option(`--${name} [value]`);
        break;
      case "list":
        parser.option(
          `--${name} <value>`,
          "",
          (value: string, all: readonly string[]) => [...all, value],
          [],
        );
        break;
      default:
        parser.option(`--${name} <value>`);
    }
  }
  if (command.argument !== undefined) {
    parser.argument(`<${command.argument.name}>`);
  }
  parser.action(async () => {
    const [unknown] = parser.args;
    if (command.argument === undefined && unknown !== undefined) {
      // Only a command with second words gets here; commander itself would speak of too many arguments.
      const near = nearestName(
        unknown,
        parser.commands.map((each) => each.name()),
      );
      parser.error(
        `error: unknown command '${unknown}'${near === undefined ? "" : `\n(Did you mean ${near}?)`}`,
      );
    }
    const raw: Readonly<Record<string, unknown>> = parser.opts();
    const values: Record<string, unknown> = {};
    for (const [name, option] of Object.entries(command.options)) {
      const outcome = readOption(option, raw[camelCase(name)]);
      if ("problem" in outcome) {
        parser.error(`error: option '--${name}' ${outcome.problem}`);
      } else {
        values[name] = outcome.value;
      }
    }
    const argument = parser.args[0];
    if (command.argument !== undefined && !command.argument.choices.includes(argument ?? "")) {
      parser.error(`error: ${command.argument.name} must be one of ${command.argument.choices.join(", ")}`);
    }
    onExit(await command.run(values, argument, context));
  });
}

/** The name under which commander keeps an option's value. */
function camelCase(name: string): string {
  return name.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
