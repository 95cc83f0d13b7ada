/** @module The declaration of `retire-versions`. */
import type { Declaration, FlagsOf } from "../../cli/command.ts";
import { count, list, text } from "../../cli/option.ts";
import { evidenceOptions } from "../evidence.ts";
import { applyOptions, configOption, outputOption } from "../shared-options.ts";

export const retireVersionsCommand = {
  name: "retire-versions",
  summary: "Remove versions that no stored object and no kept snapshot needs; a plan by default",
  description: [
    "Shows which retired versions below --before-version would be removed, and what prevents it. With --apply they are removed from this node's registry, and its provider then refuses Decrypt for them with its own error code. restore-versions undoes this. OpenBao is not changed.",
    "Needs evidence of the running etcd that is at most 15 minutes old and was read at least 5 minutes after every control-plane node was seen with the active key_id, a report of each of these nodes, and every kept snapshot. Blockers that depend only on evidence can be overridden with a reason, which the registry records permanently.",
    "When the reports show the versions as removed on every node, it prints the `bao` command that raises min_decryption_version. It never runs it.",
  ],
  options: {
    ...configOption,
    "before-version": count("N", "The oldest version that stays; required", 1, 999_999_999),
    ...evidenceOptions,
    "kept-snapshot": list("FILE", "A snapshot that must stay readable; may be repeated"),
    "node-report": list(
      "FILE",
      "The output of `probe --output json` on a control-plane node; repeat it for each node",
    ),
    "override-reason": text(
      "TEXT",
      "Continue although the evidence contradicts it; the reason is recorded permanently",
    ),
    ...applyOptions,
    ...outputOption,
  },
  examples: [
    "retire-versions --config config.yaml --before-version 3 --evidence evidence.json",
    "retire-versions --config config.yaml --before-version 3 --kept-snapshot weekly.db",
  ],
} as const satisfies Declaration;

export type RetireFlags = FlagsOf<typeof retireVersionsCommand>;
