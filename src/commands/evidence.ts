/** @module All evidence for a decision: files of earlier audits, and audits made now. */
import { buildInfo } from "../base/build-info.ts";
import { systemClock } from "../base/clock.ts";
import type { CommandContext } from "../cli/command.ts";
import { UsageError } from "../cli/errors.ts";
import { list, type ValuesOf } from "../cli/option.ts";
import { progressBar } from "../cli/progress.ts";
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

const PHASES = { hash: "checking the digest", check: "checking pages", count: "reading objects" } as const;

type TallyRequest = Pick<TallyOptions, "knownKeyIds" | "onObject" | "onReset">;

/** Audits the sources that are named, now. Throws UsageError when none is, and what the audit throws. */
export async function auditSources(
  flags: SourceFlags,
  { configuration, ...tally }: TallyRequest & { readonly configuration: Evidence["configuration"] },
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
          ...tally,
          clock: systemClock,
          signal,
          onProgress: ({ phase, done, total }) => progress(PHASES[phase], done, total),
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

/** Throws SafeFileError, or AuditError `evidence_invalid`. */
async function readEvidence(path: string): Promise<Evidence> {
  const rules = { what: "the evidence", field: "--evidence", maxBytes: MAX_EVIDENCE_BYTES, secret: false };
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
export async function allEvidence(
  flags: ValuesOf<typeof evidenceOptions>,
  recorded: Pick<RecordedVersions, "identity"> & {
    readonly configuration: Evidence["configuration"];
    readonly versions: readonly KeyVersion[];
  },
  context: CommandContext,
): Promise<readonly Evidence[]> {
  const files = await Promise.all(flags.evidence.map(readEvidence));
  if (flags["etcd-endpoints"] === undefined && flags.snapshot.length === 0) {
    return files;
  }
  const { identity, configuration, versions } = recorded;
  const knownKeyIds = keyIdsOf(identity, versions);
  return [...files, await auditSources(flags, { knownKeyIds, configuration }, context)];
}
