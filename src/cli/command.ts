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

/** What help, completion and reference pages show of a command. */
export interface Declaration<Declared extends Options = Options> {
  readonly name: string;
  readonly summary: string;
  readonly description: readonly string[];
  readonly argument?: {
    readonly name: string;
    readonly description: string;
    readonly choices: readonly string[];
  };
  readonly options: Declared;
  readonly examples: readonly [string, ...string[]];
}

export interface Command extends Declaration {
  readonly run: (
    values: Readonly<Record<string, unknown>>,
    context: CommandContext,
    argument: string | undefined,
  ) => Promise<ExitName>;
}

export type FlagsOf<Declared extends Declaration> = ValuesOf<Declared["options"]>;

type Run<Declared extends Options> = (
  flags: ValuesOf<Declared>,
  context: CommandContext,
  argument: string | undefined,
) => Promise<ExitName>;

/** The command of a declaration. What it runs is loaded only then: help, completion and other commands start without it. */
export function defineCommand<Declared extends Options>(
  declaration: Declaration<Declared>,
  load: () => Promise<Run<Declared>>,
): Command {
  return {
    ...declaration,
    run: async (values, context, argument) => {
      if (!areValuesOf(declaration.options, values)) {
        throw new TypeError(`${declaration.name}: an option was not read`);
      }
      return (await load())(values, context, argument);
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
