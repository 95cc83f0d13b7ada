/** @module The entry of the executable. The environment is made safe first; this is the only file that ends the process. */

import { dropPrivileges, parseCredentials } from "./base/drop-privileges.ts";
import { describeRefused, hardenProcess, sanitiseEnvironment } from "./base/environment.ts";
import { HIDDEN } from "./base/self-command.ts";
import { seeClass } from "./cli/describe-error.ts";
import { EXIT_CODES } from "./cli/exit-code.ts";

/** A second Ctrl-C does not wait for the clean-up that the first one asked for. */
const SIGNALS_BEFORE_EXIT = 2;

function main(): void {
  const callerEnvironment = { ...process.env };
  const refused = sanitiseEnvironment(process.env);
  if (refused.length > 0) {
    const lines = refused.map((variable) => `error: ${describeRefused(variable)}`);
    process.stderr.write([...lines, seeClass("config_invalid"), ""].join("\n"));
    process.exit(EXIT_CODES.configuration.code);
  }
  hardenProcess();
  void dispatch(process.argv.slice(2), callerEnvironment).then(
    (code) => process.exit(code),
    () => process.exit(EXIT_CODES.internal.code),
  );
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The hidden arguments with which the program starts itself once more come before the commands; `asUser` drops root's rights. */
async function dispatch(args: readonly string[], callerEnvironment: Environment): Promise<number> {
  const [first, second = "", ...rest] = args;
  switch (first) {
    case HIDDEN.asUser: {
      const credentials = parseCredentials(second);
      if (credentials === undefined) {
        return EXIT_CODES.usage.code;
      }
      dropPrivileges(credentials);
      return dispatch(rest, callerEnvironment);
    }
    case HIDDEN.pkcs11Helper: {
      // Signals end this process at once.
      const { helperMain } = await import("./pkcs11/helper-main.ts");
      return helperMain();
    }
    case HIDDEN.writeRegistry: {
      const { runRegistryWriter } = await import("./commands/change-registry.ts");
      return runRegistryWriter();
    }
    default:
      return runCommand(args, callerEnvironment, abortOnSignals());
  }
}

async function runCommand(
  args: readonly string[],
  callerEnvironment: Environment,
  signal: AbortSignal,
): Promise<number> {
  const [{ run }, { createOutput }, { COMMANDS }] = await Promise.all([
    import("./cli/run.ts"),
    import("./cli/output.ts"),
    import("./commands/table.ts"),
  ]);
  const output = createOutput(process.stdout, process.stderr, process.env);
  const code = await run(args, { output, environment: process.env, callerEnvironment, signal }, COMMANDS);
  await output.flush();
  return code;
}

function abortOnSignals(): AbortSignal {
  const controller = new AbortController();
  let count = 0;
  const stop = (): void => {
    count += 1;
    controller.abort();
    if (count >= SIGNALS_BEFORE_EXIT) {
      process.exit(EXIT_CODES.interrupted.code);
    }
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  return controller.signal;
}

main();
