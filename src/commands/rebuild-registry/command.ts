/** @module The declaration of `rebuild-registry`; run.ts does the work. */
import { defineCommand } from "../../cli/command.ts";
import type { ValuesOf } from "../../cli/option.ts";
import { evidenceOptions } from "../gathered-evidence.ts";
import { applyOptions, configOption, outputOption } from "../shared-options.ts";

const rebuildOptions = {
  ...configOption,
  "expected-key-id": {
    kind: "text",
    placeholder: "ID",
    description: "The key_id that a healthy node's probe shows",
  },
  ...evidenceOptions,
  "from-go": {
    kind: "text",
    placeholder: "FILE",
    description: "A registry of the Go implementation, whose versions are taken over",
  },
  "abandon-versions": {
    kind: "flag",
    description:
      "Continue although some stored objects can then never be read again; needs --override-reason",
  },
  "override-reason": { kind: "text", placeholder: "TEXT", description: "Why; recorded permanently" },
  ...applyOptions,
  ...outputOption,
} as const;

/** The values of a command line. */
export type RebuildFlags = ValuesOf<typeof rebuildOptions>;

export const rebuildRegistryCommand = defineCommand({
  name: "rebuild-registry",
  summary: "Make a lost registry again, from evidence; a plan by default",
  description: [
    "If a healthy node of the same control plane exists, copy its registry and checkpoint instead. The evidence is the key_id that another node shows, or an audit of the running etcd, of which every key_id must derive from a version that Transit shows. An etcd without objects of ours stands for a new cluster on an old key.",
    "What does not derive is named, with what would bring it back, and nothing is written. --abandon-versions gives it up; the registry records this permanently.",
    "A registry of the Go implementation is never overwritten: --from-go takes its versions over, and state.path must name another file, or that one moved aside.",
  ],
  options: rebuildOptions,
  examples: [
    "rebuild-registry --config config.yaml --expected-key-id obk2.EXAMPLE",
    "rebuild-registry --config config.yaml --from-go key-registry.json.go",
  ],
  run: async (flags, context) => {
    const { rebuildRegistry } = await import("./run.ts");
    return rebuildRegistry(flags, context);
  },
});
