/** @module All evidence for a decision: files of earlier audits, and audits made now. */
import type { CommandContext } from "../cli/command.ts";
import type { Evidence } from "../etcd/evidence.ts";
import { knownKeyIds } from "../etcd/known-key-ids.ts";
import type { KeyVersion } from "../key/identity/key-scope.ts";
import { type SourceFlags, sourceOptions } from "./audit-sources.ts";
import { collectEvidence, readEvidence } from "./collect-evidence.ts";
import type { RecordedVersions } from "./recorded-versions.ts";

export const evidenceOptions = {
  ...sourceOptions,
  evidence: {
    kind: "list",
    placeholder: "FILE",
    description:
      "Evidence that `audit --evidence-out` wrote; may be repeated, and combined with sources that are read now",
  },
} as const;

export interface EvidenceFlags extends SourceFlags {
  readonly evidence: readonly string[];
}

export interface KeyKnowledge extends Pick<RecordedVersions, "identity" | "configuration"> {
  readonly versions: readonly KeyVersion[];
}

/** Files first, then what is read now; empty when neither is named. */
export async function gatherEvidence(
  flags: EvidenceFlags,
  { identity, configuration, versions }: KeyKnowledge,
  context: CommandContext,
): Promise<readonly Evidence[]> {
  const files = await Promise.all(flags.evidence.map((path) => readEvidence(path, "--evidence")));
  if (flags["etcd-endpoints"] === undefined && flags.snapshot.length === 0) {
    return files;
  }
  const now = await collectEvidence(
    flags,
    { knownKeyIds: knownKeyIds(identity, versions), configuration },
    context,
  );
  return [...files, now];
}
