/** @module The declaration of `rebuild-registry`. */
import type { Declaration, FlagsOf } from "../../cli/command.ts";
import { flag, text } from "../../cli/option.ts";
import { evidenceOptions } from "../evidence.ts";
import { applyOptions, configOption, outputOption } from "../shared-options.ts";

export const rebuildRegistryCommand = {
  name: "rebuild-registry",
  summary: "Rebuild a lost registry from evidence; a plan by default",
  description: [
    "If a healthy node of the same control plane exists, copy its registry and checkpoint instead. The evidence is the key_id that another node shows, or an audit of the running etcd, of which every key_id must derive from a version that Transit shows. An etcd without objects of this provider means a new cluster on an old key.",
    "A key_id that does not derive is listed with its recovery, and nothing is written. --abandon-versions gives such versions up; the registry records this permanently.",
    "A registry of the Go implementation is never overwritten: --from-go takes over its versions. Set state.path to another file, or move the old one away first.",
  ],
  options: {
    ...configOption,
    "expected-key-id": text("ID", "The key_id in the probe of a healthy node"),
    ...evidenceOptions,
    "from-go": text("FILE", "A registry of the Go implementation, whose versions are taken over"),
    "abandon-versions": flag(
      "Continue although some stored objects become unreadable forever; needs --override-reason",
    ),
    "override-reason": text("TEXT", "The reason; it is recorded permanently"),
    ...applyOptions,
    ...outputOption,
  },
  examples: [
    "rebuild-registry --config config.yaml --expected-key-id obk2.EXAMPLE",
    "rebuild-registry --config config.yaml --from-go key-registry.json.go",
  ],
} as const satisfies Declaration;

export type RebuildFlags = FlagsOf<typeof rebuildRegistryCommand>;
