/** @module The configuration of a command, as the service's user would load it. That user owns the state directory. */

import { dirname } from "node:path";
import type { CommandContext } from "../cli/command.ts";
import type { ValuesOf } from "../cli/option.ts";
import { type LoadedConfig, loadConfig } from "../config/load.ts";
import type { ProviderConfig } from "../config/schema.ts";
import { statOrUndefined } from "./file-or-nothing.ts";
import { readUserFiles, type UserFiles, type UserIdentity, userIdentity } from "./service-identity.ts";
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

export interface ServiceLoad {
  /** Loads the configuration for a service of that user id. */
  readonly load: (serviceUid: number) => Promise<LoadedConfig>;
  /** A name or number that takes the place of the state directory's owner. */
  readonly serviceUser: string | undefined;
  readonly userFiles: UserFiles;
  /** Who runs this command. */
  readonly self: { readonly uid: number };
}

/** The user of the packages' unit. */
const USUAL_USER = "openbao-kms";
const USUAL_STATE_PATH = "/var/lib/openbao-kms/state/key-registry.json";

/**
 * The service's user is the one named, else the owner of the state directory, else for root the packages' user, else this one.
 * @throws what `load` throws, and ProviderError for an unknown user.
 */
export async function loadForService({
  load,
  serviceUser,
  userFiles,
  self,
}: ServiceLoad): Promise<{ readonly loaded: LoadedConfig; readonly service: UserIdentity }> {
  if (serviceUser !== undefined) {
    const service = userIdentity(serviceUser, userFiles);
    return { loaded: await load(service.uid), service };
  }
  const first = await load(self.uid).catch((error: unknown) => {
    // A file of the service's own user is no fault, though root does not know that user yet: it is loaded again below.
    if (self.uid === 0 && error instanceof Error && "code" in error && error.code === "file_wrong_owner") {
      return undefined;
    }
    throw error;
  });
  const owner =
    statOrUndefined(dirname(first?.config.state.path ?? USUAL_STATE_PATH))?.uid ??
    uidWithoutState(self.uid, userFiles);
  const service = userIdentity(String(owner), userFiles);
  return { loaded: first !== undefined && owner === self.uid ? first : await load(owner), service };
}

function uidWithoutState(self: number, userFiles: UserFiles): number {
  const line = userFiles.passwd.split("\n").find((each) => each.startsWith(`${USUAL_USER}:`));
  const uid = line?.split(":")[2] ?? "";
  return self === 0 && /^\d{1,10}$/.test(uid) ? Number(uid) : self;
}

/** The user of the service that has this configuration: the owner of its state, or else the user of this process. */
export function serviceUidOf({ state }: Pick<ProviderConfig, "state">): number {
  return statOrUndefined(dirname(state.path))?.uid ?? process.geteuid?.() ?? 0;
}
