/** @module All evidence for a decision: files of earlier audits, and audits made now. */
import { buildInfo } from "../base/build-info.ts";
import { systemClock } from "../base/clock.ts";
import type { CommandContext } from "../cli/command.ts";
import { list, type ValuesOf } from "../cli/option.ts";
import { progressBar } from "../cli/progress.ts";
import { UsageError } from "../cli/usage-error.ts";
import {
  decodeEvidence,
  type Evidence,
  MAX_EVIDENCE_BYTES,
  type SourceAudit,
  sealEvidence,
} from "../etcd/evidence.ts";
import { limitationsOf, runAudit } from "../etcd/run-audit.ts";
import { keyIdsOf, type TallyOptions } from "../etcd/tally.ts";
import type { KeyVersion } from "../openbao/transit/key-metadata.ts";
import { openTargets, type SourceFlags, sourceOptions } from "./audit-sources.ts";
import { readInputFile } from "./input-file.ts";
import type { RecordedVersions } from "./recorded-versions.ts";

interface EvidenceRequest extends Pick<TallyOptions, "knownKeyIds" | "onObject" | "onReset"> {
  readonly configuration: Evidence["configuration"];
}

const PHASES = { hash: "checking the digest", check: "checking pages", count: "reading objects" } as const;

/** Throws UsageError when no source is named, and whatever the audit throws. */
export async function collectEvidence(
  flags: SourceFlags,
  { knownKeyIds, configuration, onObject, onReset }: EvidenceRequest,
  { output, signal }: CommandContext,
): Promise<Evidence> {
  const { targets, close } = await openTargets(flags);
  if (targets.length === 0) {
    throw new UsageError("no source is named", "name --etcd-endpoints, or --snapshot FILE");
  }
  const progress = progressBar(output, systemClock);
  const audits: SourceAudit[] = [];
  try {
    for (const target of targets) {
      audits.push(
        await runAudit(target, {
          prefix: flags["etcd-prefix"],
          knownKeyIds,
          clock: systemClock,
          signal,
          onProgress: ({ phase, done, total }) => progress(PHASES[phase], done, total),
          onObject,
          onReset,
        }),
      );
    }
  } finally {
    close();
  }
  return sealEvidence({
    kind: "bao-kms-provider/audit",
    schemaVersion: 1,
    createdAt: new Date(systemClock.wallMs()).toISOString(),
    providerVersion: buildInfo.version,
    ...(configuration === undefined ? {} : { configuration }),
    audits,
    limitations: limitationsOf(audits, configuration !== undefined),
  });
}

/** An evidence file. Throws SafeFileError, or AuditError `evidence_invalid`. */
async function readEvidence(path: string, field: string): Promise<Evidence> {
  const rules = { what: "the evidence", field, maxBytes: MAX_EVIDENCE_BYTES, secret: false };
  return decodeEvidence(await readInputFile(path, rules), path);
}

export const evidenceOptions = {
  ...sourceOptions,
  evidence: list(
    "FILE",
    "Evidence that `audit --evidence-out` wrote; may be repeated, and combined with sources that are read now",
  ),
} as const;

/** Files first, then what is read now; empty when neither is named. */
export async function gatherEvidence(
  flags: ValuesOf<typeof evidenceOptions>,
  {
    identity,
    configuration,
    versions,
  }: Pick<RecordedVersions, "identity" | "configuration"> & {
    readonly versions: readonly KeyVersion[];
  },
  context: CommandContext,
): Promise<readonly Evidence[]> {
  const files = await Promise.all(flags.evidence.map((path) => readEvidence(path, "--evidence")));
  if (flags["etcd-endpoints"] === undefined && flags.snapshot.length === 0) {
    return files;
  }
  const now = await collectEvidence(
    flags,
    { knownKeyIds: keyIdsOf(identity, versions), configuration },
    context,
  );
  return [...files, now];
}
