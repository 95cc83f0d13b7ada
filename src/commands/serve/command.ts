/** @module `serve`: the daemon. */
import { ProviderError } from "../../base/error-class.ts";
import { defineCommand } from "../../cli/command.ts";
import { describeOnOneLine } from "../../cli/describe-error.ts";
import { exitOfError } from "../../cli/exit-code.ts";
import { configOption, overrideOptions } from "../shared-options.ts";

export const serveCommand = defineCommand({
  name: "serve",
  summary: "Run the provider",
  description: [
    "Runs until SIGTERM or SIGINT. SIGHUP reads the CA and the log level again.",
    "A fault on this machine (arguments, configuration, an unsafe directory, the key registry) ends it at once. What may become available later (credentials, DNS, TLS, OpenBao) is retried for bootstrap.graceTimeout.",
  ],
  options: { ...configOption, ...overrideOptions },
  examples: ["serve --config /etc/openbao-kms/config.yaml"],
  run: async (flags, context) => {
    const [{ loadConfiguration }, { runDaemon }, { systemClock }, { readUserFiles, userIdentity }] =
      await Promise.all([
        import("../configuration.ts"),
        import("../../provider/daemon.ts"),
        import("../../base/clock.ts"),
        import("../service-identity.ts"),
      ]);
    const { config } = await loadConfiguration(flags, context, "self");
    const uid = process.getuid?.() ?? 0;
    const gid = process.getgid?.() ?? 0;
    const daemon = runDaemon({
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
    return daemon.then(
      () => "good",
      (error: unknown) => {
        if (!(error instanceof ProviderError)) {
          throw error;
        }
        // It is in the log with all its fields; the last line repeats all of it, for a reader who sees only that line.
        context.output.say(describeOnOneLine(error));
        return exitOfError(error);
      },
    );
  },
});
