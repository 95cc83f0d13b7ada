/** @module The declaration of `policy openbao`. */
import type { Declaration, FlagsOf } from "../../cli/command.ts";
import { onSwitch } from "../../cli/option.ts";
import { configOption } from "../shared-options.ts";

export const policyOpenbaoCommand = {
  name: "policy openbao",
  summary: "Print the least-privilege OpenBao policy for this configuration",
  description: [
    "Prints HCL for `bao policy write`. It allows the needed paths and nothing else: no rotation, export, backup, trimming, deletion or change of the key.",
  ],
  options: {
    ...configOption,
    "include-token-renewal": onSwitch(
      "Whether the token may renew, look up and revoke itself and ask for its capabilities; =false when the default policy allows it already",
    ),
  },
  examples: ["policy openbao --config /etc/openbao-kms/config.yaml > openbao-kms.hcl"],
} as const satisfies Declaration;

export type PolicyFlags = FlagsOf<typeof policyOpenbaoCommand>;
