/** @module What a command is: the interface between the frame and commands/. */
import type { ExitName } from "./exit-code.ts";
import type { Options, ValuesOf } from "./option.ts";
import type { Output } from "./output.ts";

/** Everything that a command may touch of the outside, so that tests can stand in for it. */
export interface CommandContext {
  readonly output: Output;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The environment before it was made safe for us: for programs of the caller, such as exec plugins of a kubeconfig. */
  readonly callerEnvironment: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
}

interface Argument {
  readonly name: string;
  readonly description: string;
  readonly choices: readonly string[];
}

export interface Command {
  readonly name: string;
  readonly summary: string;
  readonly description: readonly string[];
  readonly argument: Argument | undefined;
  readonly options: Options;
  readonly examples: readonly [string, ...string[]];
  readonly run: (
    values: Readonly<Record<string, unknown>>,
    argument: string | undefined,
    context: CommandContext,
  ) => Promise<ExitName>;
}

interface Declaration<Declared extends Options> {
  readonly name: string;
  readonly summary: string;
  readonly description: readonly string[];
  readonly argument?: Argument;
  readonly options: Declared;
  readonly examples: readonly [string, ...string[]];
  /** The values have been read by option.ts, one for each declared option. */
  readonly run: (
    values: ValuesOf<Declared>,
    context: CommandContext,
    argument: string | undefined,
  ) => Promise<ExitName>;
}

export function defineCommand<const Declared extends Options>({
  name,
  summary,
  description,
  argument,
  options,
  examples,
  run,
}: Declaration<Declared>): Command {
  return {
    name,
    summary,
    description,
    argument,
    options,
    examples,
    run: (values, given, context) => {
      if (!areValuesOf(options, values)) {
        throw new TypeError(`${name}: an option was not read`);
      }
      return run(values, context, given);
    },
  };
}

/** The frame reads every declared option before it calls `run`; this says so to the compiler, and checks it. */
function areValuesOf<Declared extends Options>(
  options: Declared,
  values: Readonly<Record<string, unknown>>,
): values is ValuesOf<Declared> {
  return Object.keys(options).every((name) => Object.hasOwn(values, name));
}
