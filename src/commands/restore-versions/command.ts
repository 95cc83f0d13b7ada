/** @module The declaration of `restore-versions`. */
import type { Declaration, FlagsOf } from "../../cli/command.ts";
import { text } from "../../cli/option.ts";
import { applyOptions, configOption, outputOption } from "../shared-options.ts";

export const restoreVersionsCommand = {
  name: "restore-versions",
  summary: "Restore removed versions that Transit still has; a plan by default",
  description: [
    "A version is restored when this node's registry has it as removed and Transit still has the same version. If min_decryption_version hides it, lower that first.",
  ],
  options: {
    ...configOption,
    versions: text("A,B", "The versions, separated by commas; required"),
    ...applyOptions,
    ...outputOption,
  },
  examples: ["restore-versions --config config.yaml --versions 1,2"],
} as const satisfies Declaration;

export type RestoreFlags = FlagsOf<typeof restoreVersionsCommand>;
