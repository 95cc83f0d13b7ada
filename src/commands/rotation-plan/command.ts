/** @module The declaration of `rotation-plan`. */
import type { Declaration, FlagsOf } from "../../cli/command.ts";
import { flag } from "../../cli/option.ts";
import { configOption, outputOption } from "../shared-options.ts";

export const rotationPlanCommand = {
  name: "rotation-plan",
  summary: "Show the active, pending and observed versions, and what a promotion waits for",
  description: [
    "Reads this node's registry and the key's live metadata, and changes nothing. A running provider promotes a new version by itself after it has observed it often and long enough.",
    "When OpenBao does not answer, the report uses only the registry, and the exit code is 4.",
  ],
  options: {
    ...configOption,
    watch: flag("Repeat until nothing is left to do, and print what changed"),
    ...outputOption,
  },
  examples: [
    "rotation-plan --config /etc/openbao-kms/config.yaml",
    "rotation-plan --config /etc/openbao-kms/config.yaml --watch",
  ],
} as const satisfies Declaration;

export type RotationPlanFlags = FlagsOf<typeof rotationPlanCommand>;
