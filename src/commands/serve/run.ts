/** @module `serve`: the daemon. */
import { systemClock } from "../../base/clock.ts";
import { ProviderError } from "../../base/error-class.ts";
import type { CommandContext } from "../../cli/command.ts";
import { describeOnOneLine } from "../../cli/describe-error.ts";
import { type ExitName, exitOfError } from "../../cli/exit-code.ts";
import { runDaemon } from "../../provider/daemon.ts";
import { loadConfiguration } from "../configuration.ts";
import { readUserFiles, userIdentity } from "../service-identity.ts";
import type { ServeFlags } from "./command.ts";

export async function serve(flags: ServeFlags, context: CommandContext): Promise<ExitName> {
  const { config } = await loadConfiguration(flags, context, "self");
  const uid = process.getuid?.() ?? 0;
  const gid = process.getgid?.() ?? 0;
  try {
    await runDaemon({
      config,
      readLogLevel: async () => (await loadConfiguration(flags, context, "self")).config.logging.level,
      process: { uid, gid, userName: userIdentity(String(uid), readUserFiles()).name },
      clock: systemClock,
      random: Math.random,
      stdout: process.stdout,
      signal: context.signal,
      onHangUp: (listener) => {
        process.on("SIGHUP", listener);
        return () => process.off("SIGHUP", listener);
      },
    });
    return "good";
  } catch (error) {
    if (!(error instanceof ProviderError)) {
      throw error;
    }
    // It is in the log with all its fields; the last line repeats all of it, for a reader who sees only that line.
    context.output.say(describeOnOneLine(error));
    return exitOfError(error);
  }
}
