/** @module The declaration of `verify-key`. */
import type { Declaration, FlagsOf } from "../../cli/command.ts";
import { configOption, outputOption } from "../shared-options.ts";

export const verifyKeyCommand = {
  name: "verify-key",
  summary: "Prove that every needed key version decrypts",
  description: [
    "Checks the key's profile and limits, compares its versions with this node's registry, and decrypts the stored marker of each version. Changes nothing.",
  ],
  options: { ...configOption, ...outputOption },
  examples: ["verify-key --config /etc/openbao-kms/config.yaml"],
} as const satisfies Declaration;

export type VerifyKeyFlags = FlagsOf<typeof verifyKeyCommand>;
