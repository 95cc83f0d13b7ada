/** @module The declaration of `config`. */
import type { Declaration, FlagsOf } from "../../cli/command.ts";
import { configOption, outputOption, overrideOptions } from "../shared-options.ts";

export const configCommand = {
  name: "config",
  summary: "Show the configuration in force and the origin of each value",
  description: [
    "Reads and checks the configuration as serve does, and prints each field with its origin: default, file, environment or flag. It makes no connection.",
    "The fingerprint stands for the identity of the key (provider, cluster, OpenBao instance, namespace, mount, lineage and key name) without revealing it. All nodes of one control plane show the same fingerprint.",
  ],
  options: { ...configOption, ...overrideOptions, ...outputOption },
  examples: ["config --config /etc/openbao-kms/config.yaml"],
} as const satisfies Declaration;

export type ConfigFlags = FlagsOf<typeof configCommand>;
