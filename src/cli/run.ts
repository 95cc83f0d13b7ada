/** @module From the command line to the exit code. Ends nothing itself. */
import type { Command, CommandContext } from "./command.ts";
import { describeError, seeError } from "./describe-error.ts";
import { UsageError } from "./errors.ts";
import { EXIT_CODES, exitOfError } from "./exit-code.ts";
import { parseCommandLine } from "./parse.ts";

/** Runs one command line, without the program's name, to its exit code. */
export async function run(
  args: readonly string[],
  context: CommandContext,
  commands: readonly Command[],
): Promise<number> {
  const { output, signal } = context;
  const line = parseCommandLine(args, commands);
  if (line.kind === "help") {
    output.result(line.text);
    return EXIT_CODES.good.code;
  }
  if (line.kind === "refused") {
    output.say(line.text);
    return EXIT_CODES.usage.code;
  }
  try {
    return EXIT_CODES[await line.command.run(line.values, context, line.argument)].code;
  } catch (error) {
    if (signal.aborted) {
      output.say("interrupted");
      return EXIT_CODES.interrupted.code;
    }
    for (const each of describeError(error)) {
      output.say(each);
    }
    output.say(seeError(error, line.command.name));
    return EXIT_CODES[error instanceof UsageError ? "usage" : exitOfError(error)].code;
  }
}
