/** @module The declaration of `verify-key`; run.ts does the work. */
import { defineCommand } from "../../cli/command.ts";
import type { ValuesOf } from "../../cli/option.ts";
import { configOption, outputOption } from "../shared-options.ts";

const verifyKeyOptions = { ...configOption, ...outputOption } as const;

export type VerifyKeyFlags = ValuesOf<typeof verifyKeyOptions>;

export const verifyKeyCommand = defineCommand({
  name: "verify-key",
  summary: "Prove that every needed key version decrypts",
  description: [
    "Checks the key's profile and limits, compares its versions with this node's registry, and decrypts the stored marker of each version. Changes nothing.",
  ],
  options: verifyKeyOptions,
  examples: ["verify-key --config /etc/openbao-kms/config.yaml"],
  run: async (flags, context) => (await import("./run.ts")).verifyKey(flags, context),
});
