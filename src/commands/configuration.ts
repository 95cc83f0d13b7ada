/**
 * How commands get their configuration: path and overrides from flags, the rest from the environment.
 *
 * @module One function around config/load.ts. Warnings go to stderr.
 */

import type { CommandContext } from "../cli/command.ts";
import { type LoadedConfig, loadConfig } from "../config/load.ts";

export interface ConfigurationFlags {
  readonly config: string | undefined;
  readonly "log-level"?: string | undefined;
  readonly "metrics-address"?: string | undefined;
  readonly "health-address"?: string | undefined;
}

/** Loads as the user that runs the command; `serviceUid` says otherwise where a command judges for the service. */
export async function loadConfiguration(
  flags: ConfigurationFlags,
  { environment, output }: CommandContext,
  serviceUid = process.getuid?.() ?? 0,
): Promise<LoadedConfig> {
  const loaded = await loadConfig({
    path: flags.config,
    flags: {
      logLevel: flags["log-level"],
      metricsAddress: flags["metrics-address"],
      healthAddress: flags["health-address"],
    },
    environment,
    serviceUid,
  });
  for (const warning of loaded.warnings) {
    output.say(`warning: ${warning}`);
  }
  return loaded;
}
