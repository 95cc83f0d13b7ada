/** @module The declaration of `version`. */
import type { Declaration, FlagsOf } from "../../cli/command.ts";
import { outputOption } from "../shared-options.ts";

export const versionCommand = {
  name: "version",
  summary: "Print the version and the build",
  description: [
    "Prints the version, the commit, the runtime, and the versions of the formats: configuration file, KMS, key_id and associated data.",
  ],
  options: outputOption,
  examples: ["version --output json"],
} as const satisfies Declaration;

export type VersionFlags = FlagsOf<typeof versionCommand>;
