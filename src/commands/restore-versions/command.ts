/** @module The declaration of `restore-versions`; run.ts does the work. */
import { defineCommand } from "../../cli/command.ts";
import type { ValuesOf } from "../../cli/option.ts";
import { applyOptions, configOption, outputOption } from "../shared-options.ts";

const restoreOptions = {
  ...configOption,
  versions: {
    kind: "text",
    placeholder: "A,B",
    description: "The versions, separated by commas; required",
  },
  ...applyOptions,
  ...outputOption,
} as const;

export type RestoreFlags = ValuesOf<typeof restoreOptions>;

export const restoreVersionsCommand = defineCommand({
  name: "restore-versions",
  summary: "Restore removed versions that Transit still has; a plan by default",
  description: [
    "A version is restored when this node's registry has it as removed and Transit still has the same version. If min_decryption_version hides it, lower that first.",
  ],
  options: restoreOptions,
  examples: ["restore-versions --config config.yaml --versions 1,2"],
  run: async (flags, context) => (await import("./run.ts")).restoreVersions(flags, context),
});
