/** @module `policy openbao`: the policy that the provider's token needs. */
import type { CommandContext } from "../../cli/command.ts";
import type { ExitName } from "../../cli/exit-code.ts";
import { loadConfiguration } from "../configuration.ts";
import { keyNamespaceOf, openbaoPolicy } from "../openbao-policy.ts";
import type { PolicyFlags } from "./command.ts";

export async function policyOpenbao(flags: PolicyFlags, context: CommandContext): Promise<ExitName> {
  const { config } = await loadConfiguration(flags, context);
  const { auth } = config;
  context.output.result(
    openbaoPolicy({
      keyNamespace: keyNamespaceOf(config),
      mountPath: config.transit.mountPath,
      keyName: config.transit.keyName,
      includeTokenRenewal: flags["include-token-renewal"],
      // The configuration does not have the role's name.
      appRole: auth.method === "approle" ? { mountPath: auth.approle.mountPath, name: "+" } : undefined,
    }),
  );
  return "good";
}
