/** @module The declaration of `unwrap-secret-id`; run.ts does the work. */
import { defineCommand } from "../../cli/command.ts";
import type { ValuesOf } from "../../cli/option.ts";
import { configOption, outputOption } from "../shared-options.ts";

const unwrapOptions = {
  ...configOption,
  role: {
    kind: "text",
    placeholder: "NAME",
    description: "The AppRole that the secret id must belong to, by its name in OpenBao",
  },
  "wrapping-token-file": {
    kind: "text",
    placeholder: "FILE",
    description: "The wrapping token; without it, it is read from standard input",
  },
  group: {
    kind: "text",
    placeholder: "GROUP",
    default: "openbao-kms",
    description: "The group that may read the file, by name or number: the provider's primary group",
  },
  ...outputOption,
} as const;

/** The values of a command line. */
export type UnwrapFlags = ValuesOf<typeof unwrapOptions>;

export const unwrapSecretIdCommand = defineCommand({
  name: "unwrap-secret-id",
  summary: "Take an AppRole secret id out of its wrapping, once, and put it in place",
  description: [
    "Reads a wrapping token from its standard input, or from a file, asks OpenBao where the token was made, and only if that is the secret-id path of the role takes the secret id out and writes it to auth.approle.secretIdFile, root:openbao-kms 0640, in one step. A running provider takes it at its next login.",
    "Needs root, and no token of its own. The wrapping token never stands on the command line or in the environment, and a provider never holds one. Everything that can be wrong on this machine is found before the token is used up. Unless its logins are counted, the secret id is tried with one login before it replaces the file.",
    "A token that OpenBao no longer knows has expired or was used already: unless it was you, destroy the secret id that was in it.",
  ],
  options: unwrapOptions,
  examples: [
    "unwrap-secret-id --config config.yaml --role kms < wrapping-token",
    "unwrap-secret-id --config config.yaml --role kms --wrapping-token-file FILE",
  ],
  run: async (flags, context) => {
    const { unwrapSecretIdToFile } = await import("./run.ts");
    return unwrapSecretIdToFile(flags, context);
  },
});
