/** @module The declaration of `unwrap-secret-id`. */
import type { Declaration, FlagsOf } from "../../cli/command.ts";
import { text } from "../../cli/option.ts";
import { configOption, outputOption } from "../shared-options.ts";

export const unwrapSecretIdCommand = {
  name: "unwrap-secret-id",
  summary: "Unwrap an AppRole secret id once and install it",
  description: [
    "Reads a wrapping token from standard input or from a file, and asks OpenBao where the token was created. Only if that is the secret-id path of the role, it unwraps the secret id and writes it to auth.approle.secretIdFile, root:openbao-kms 0640, in one step. A running provider uses it at its next login.",
    "Needs root, and no token of its own. The wrapping token never appears on the command line or in the environment, and the provider never gets it. Faults on this machine are found before the token is used. Unless its logins are counted, the secret id is tried with one login before it replaces the file.",
    "A token that OpenBao does not know has expired or was used before. If you did not use it, destroy the secret id that was in it.",
  ],
  options: {
    ...configOption,
    role: text("NAME", "The AppRole that the secret id must belong to, by its name in OpenBao"),
    "wrapping-token-file": text("FILE", "The wrapping token; without it, it is read from standard input"),
    group: {
      ...text("GROUP", "The group that may read the file, by name or number: the provider's primary group"),
      default: "openbao-kms",
    },
    ...outputOption,
  },
  examples: [
    "unwrap-secret-id --config config.yaml --role kms < wrapping-token",
    "unwrap-secret-id --config config.yaml --role kms --wrapping-token-file FILE",
  ],
} as const satisfies Declaration;

export type UnwrapFlags = FlagsOf<typeof unwrapSecretIdCommand>;
