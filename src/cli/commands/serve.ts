/**
 * `serve`: the daemon.
 *
 * @module Description, configuration, and the way into compose/daemon.ts.
 */
import { userInfo } from "node:os";
import { defineCommand } from "../command.ts";
import { configOption, overrideOptions } from "../shared-options.ts";

export const serveCommand = defineCommand({
  name: "serve",
  summary: "Run the provider",
  description: [
    "Runs until SIGTERM or SIGINT. SIGHUP reads the CA and the log level again.",
    "What is wrong on this machine (arguments, configuration, an unsafe directory, the key registry) ends it at once; what may still be on its way (credentials, DNS, TLS, OpenBao) is retried for bootstrap.graceTimeout.",
  ],
  options: { ...configOption, ...overrideOptions },
  examples: ["serve --config /etc/openbao-kms/config.yaml"],
  run: async (flags, context) => {
    const [{ loadConfiguration }, { runDaemon }, { systemClock }] = await Promise.all([
      import("../configuration.ts"),
      import("../../compose/daemon.ts"),
      import("../../base/clock.ts"),
    ]);
    const { config } = await loadConfiguration(flags, context);
    const { uid, gid, username } = userInfo();
    await runDaemon({
      config,
      readLogLevel: async () => (await loadConfiguration(flags, context)).config.logging.level,
      process: { uid, gid, userName: username },
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
  },
});
