/** @module The configuration of a command: path and overrides from flags, the rest from the environment. */
import type { CommandContext } from "../cli/command.ts";
import type { ValuesOf } from "../cli/option.ts";
import { type LoadedConfig, loadConfig } from "../config/load.ts";
import { loadForService } from "./load-for-service.ts";
import { readUserFiles } from "./service-identity.ts";
import type { configOption, overrideOptions } from "./shared-options.ts";

type ConfigurationFlags = ValuesOf<typeof configOption> & Partial<ValuesOf<typeof overrideOptions>>;

/**
 * `self` loads for the user of this process, as `serve` does. `service` loads for the service's user, whose files root must
 * be able to use when it runs a command.
 */
export async function loadConfiguration(
  flags: ConfigurationFlags,
  { environment, output }: CommandContext,
  user: "self" | "service" = "service",
): Promise<LoadedConfig> {
  const load = (serviceUid: number): Promise<LoadedConfig> =>
    loadConfig({
      path: flags.config,
      flags: {
        logLevel: flags["log-level"],
        metricsAddress: flags["metrics-address"],
        healthAddress: flags["health-address"],
      },
      environment,
      serviceUid,
    });
  const self = { uid: process.getuid?.() ?? 0 };
  const loaded =
    user === "self"
      ? await load(self.uid)
      : (await loadForService({ load, serviceUser: undefined, userFiles: readUserFiles(), self })).loaded;
  for (const warning of loaded.warnings) {
    output.say(`warning: ${warning}`);
  }
  return loaded;
}
