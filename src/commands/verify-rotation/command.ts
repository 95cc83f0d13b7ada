/** @module The declaration of `verify-rotation`; run.ts does the work. */
import { defineCommand } from "../../cli/command.ts";
import type { ValuesOf } from "../../cli/option.ts";
import { evidenceOptions } from "../gathered-evidence.ts";
import { configOption, outputOption } from "../shared-options.ts";

const verifyRotationOptions = { ...configOption, ...evidenceOptions, ...outputOption } as const;

/** The values of a command line. */
export type VerifyRotationFlags = ValuesOf<typeof verifyRotationOptions>;

export const verifyRotationCommand = defineCommand({
  name: "verify-rotation",
  summary: "Check whether every stored object is encrypted under the active version",
  description: [
    "Joins this node's registry, the key's live metadata and an audit's evidence: done, or what remains and where. Plaintext counts as remaining in Secrets and in every resource of which at least one object is encrypted by this provider.",
    "The confidence says how far the answer goes: high with a running etcd, limited with whole snapshots only, low when something speaks against it. What was not looked at is always listed.",
    "Ends with code 4 while something remains or is not proven.",
  ],
  options: verifyRotationOptions,
  examples: ["verify-rotation --config config.yaml --evidence evidence.json"],
  run: async (flags, context) => {
    const { verifyRotationAction } = await import("./run.ts");
    return verifyRotationAction(flags, context);
  },
});
