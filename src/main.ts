/**
 * Entry of the executable.
 *
 * @module The environment is made safe first; everything else is imported after that. The only place that ends the process.
 */
import { describeRefused, hardenProcess, sanitiseEnvironment } from "./base/environment.ts";
import { EXIT_CODES } from "./cli/exit-code.ts";
import { HELPER_ARGUMENT } from "./pkcs11/helper-command.ts";

/** A second Ctrl-C does not wait for the clean-up that the first one asked for. */
const SIGNALS_BEFORE_EXIT = 2;

function main(): void {
  const refused = sanitiseEnvironment(process.env);
  if (refused.length > 0) {
    process.stderr.write(refused.map((variable) => `error: ${describeRefused(variable)}\n`).join(""));
    process.exit(EXIT_CODES.configuration.code);
  }
  hardenProcess();
  // The provider starts itself with this argument for one login with a PKCS#11 token; signals end that process at once.
  const ended = process.argv[2] === HELPER_ARGUMENT ? startHelper() : start(abortOnSignals());
  void ended.then(
    (code) => process.exit(code),
    () => process.exit(EXIT_CODES.internal.code),
  );
}

async function startHelper(): Promise<number> {
  const { runHelper } = await import("./pkcs11/helper.ts");
  return runHelper();
}

async function start(signal: AbortSignal): Promise<number> {
  const [{ run }, { createOutput }, { COMMANDS }] = await Promise.all([
    import("./cli/run.ts"),
    import("./cli/output.ts"),
    import("./commands/table.ts"),
  ]);
  const output = createOutput(process.stdout, process.stderr, process.env);
  const code = await run(process.argv.slice(2), { output, environment: process.env, signal }, COMMANDS);
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
