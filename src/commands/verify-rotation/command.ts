/** @module The declaration of `verify-rotation`. */
import type { Declaration, FlagsOf } from "../../cli/command.ts";
import { evidenceOptions } from "../evidence.ts";
import { configOption, outputOption } from "../shared-options.ts";

export const verifyRotationCommand = {
  name: "verify-rotation",
  summary: "Check whether every stored object is encrypted under the active version",
  description: [
    "Combines this node's registry, the key's live metadata and the evidence of an audit. The answer is: done, or what remains and where. Plaintext counts as remaining in Secrets and in every resource of which at least one object is encrypted by this provider.",
    "The confidence is high with a running etcd, limited with complete snapshots only, and low when something contradicts the answer. It always lists what was not examined.",
    "Exits with code 4 while something remains or is not proven.",
  ],
  options: { ...configOption, ...evidenceOptions, ...outputOption },
  examples: ["verify-rotation --config config.yaml --evidence evidence.json"],
} as const satisfies Declaration;

export type VerifyRotationFlags = FlagsOf<typeof verifyRotationCommand>;
