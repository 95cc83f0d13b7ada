/** @module The declaration of `serve`. */
import type { Declaration, FlagsOf } from "../../cli/command.ts";
import { configOption, overrideOptions } from "../shared-options.ts";

export const serveCommand = {
  name: "serve",
  summary: "Run the provider",
  description: [
    "Runs until SIGTERM or SIGINT. SIGHUP reads the CA and the log level again.",
    "A fault on this machine (arguments, configuration, an unsafe directory, the key registry) ends it at once. What may become available later (credentials, DNS, TLS, OpenBao) is retried for bootstrap.graceTimeout.",
  ],
  options: { ...configOption, ...overrideOptions },
  examples: ["serve --config /etc/openbao-kms/config.yaml"],
} as const satisfies Declaration;

export type ServeFlags = FlagsOf<typeof serveCommand>;
