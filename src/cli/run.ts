/** @module From the command line to the exit code. Ends nothing itself. */
import type { Command, CommandContext } from "./command.ts";
import { describeError, seeError } from "./describe-error.ts";
import { UsageError } from "./errors.ts";
import { EXIT_CODES, type ExitName, exitOfError } from "./exit-code.ts";
import { parseCommandLine } from "./parse.ts";

/** Runs one command line, without the program's name, to its exit code. */
export async function run(
  args: readonly string[],
  context: CommandContext,
  commands: readonly Command[],
): Promise<number> {
  return EXIT_CODES[await exitOf(args, context, commands)].code;
}

async function exitOf(
  args: readonly string[],
  context: CommandContext,
  commands: readonly Command[],
): Promise<ExitName> {
  const { output, signal } = context;
  const line = parseCommandLine(args, commands);
  if (line.kind === "help") {
    output.result(line.text);
    return "good";
  }
  if (line.kind === "refused") {
    output.say(line.text);
    return "usage";
  }
  try {
    return await line.command.run(line.values, context, line.argument);
  } catch (error) {
    if (signal.aborted) {
      output.say("interrupted");
      return "interrupted";
    }
    for (const each of describeError(error)) {
      output.say(each);
    }
    output.say(seeError(error, line.command.name));
    return error instanceof UsageError ? "usage" : exitOfError(error);
  }
}
