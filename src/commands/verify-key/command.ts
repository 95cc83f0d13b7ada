/**
 * `verify-key`: the key alone.
 *
 * @module Description and options; the work is in actions/verify-key.ts.
 */
import { defineCommand } from "../../cli/command.ts";
import { configOption, outputOption } from "../shared-options.ts";

export const verifyKeyCommand = defineCommand({
  name: "verify-key",
  summary: "Prove that every version of the key that is needed still decrypts",
  description: [
    "Checks the key's profile and limits, compares its versions with this node's registry, and decrypts the marker that was kept for each version. Changes nothing.",
  ],
  options: { ...configOption, ...outputOption },
  examples: ["verify-key --config /etc/openbao-kms/config.yaml"],
  run: async (flags, context) => {
    const { verifyKey } = await import("./run.ts");
    return verifyKey(flags, context);
  },
});
