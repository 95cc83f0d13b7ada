/** @module `policy openbao`: the policy that the provider's token needs. */
import { defineCommand } from "../../cli/command.ts";
import { configOption } from "../shared-options.ts";

export const policyOpenbaoCommand = defineCommand({
  name: "policy openbao",
  summary: "Print the least-privilege OpenBao policy for this configuration",
  description: [
    "Prints HCL for `bao policy write`. It allows the needed paths and nothing else: no rotation, export, backup, trimming, deletion or change of the key.",
  ],
  options: {
    ...configOption,
    "include-token-renewal": {
      kind: "switch",
      description:
        "Whether the token may renew, look up and revoke itself and ask for its capabilities; =false when the default policy allows it already",
    },
  },
  examples: ["policy openbao --config /etc/openbao-kms/config.yaml > openbao-kms.hcl"],
  run: async (flags, context) => {
    const [{ loadConfiguration }, { keyNamespaceOf, openbaoPolicy }] = await Promise.all([
      import("../configuration.ts"),
      import("../openbao-policy.ts"),
    ]);
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
  },
});
