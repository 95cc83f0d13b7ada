/**
 * `serve`: the daemon.
 *
 * @module Description, configuration, and the way into compose/daemon.ts.
 */
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
    const { loadConfiguration } = await import("../configuration.ts");
    await loadConfiguration(flags, context);
    return "good";
  },
});
