/** @module The audit of one source in one sentence that a person can sign, and what to do next. */

import { visible } from "../base/visible-text.ts";
import { countOf } from "../base/words.ts";
import { type SourceAudit, type StoredGroup, totalOf } from "./evidence.ts";
import { grouped } from "./group-label.ts";

interface AuditVerdict {
  /** Every object that should be encrypted is encrypted under the newest version found. */
  readonly isGood: boolean;
  readonly sentence: string;
  /** What to do; absent when there is nothing to do. */
  readonly next: string | undefined;
  /** What the next cold start of an API server costs; absent when no object of this provider was found. */
  readonly coldStart: string | undefined;
}

const MAX_NAMED_RESOURCES = 3;

export function verdictOf(audit: SourceAudit): AuditVerdict {
  return { ...judge(audit), coldStart: coldStartText(audit) };
}

function judge(audit: SourceAudit): Omit<AuditVerdict, "coldStart"> {
  const judged = audit.resources.filter(
    ({ resource, groups }) => resource === "secrets" || groups.some(({ kind }) => kind === "ours"),
  );
  const groups = judged.flatMap((each) => each.groups);
  const newest = Math.max(0, ...audit.keyIds.map(({ version }) => version));
  const count = (isWanted: (group: StoredGroup) => boolean): number => totalOf(groups.filter(isWanted));
  const total = totalOf(groups);
  const plain = count(({ kind }) => kind === "plaintext");
  const older = count((group) => group.kind === "ours" && group.version < newest);
  const other = count(({ kind }) => ["local_key", "kms_v1", "kms_v2_other"].includes(kind));
  const bad = count(({ kind }) => kind === "damaged" || kind === "unknown");
  const names = resourceNames(judged.map(({ resource }) => resource));
  if (total === 0) {
    return {
      isGood: false,
      sentence: `No Secret is stored under ${visible(audit.prefix)}: nothing is proven.`,
      next: "check --etcd-endpoints, --snapshot and --etcd-prefix",
    };
  }
  const findings = [
    [plain, "in plaintext"],
    [other, "under another provider"],
    [older, `under an older version than ${newest}`],
    [bad, "in an envelope that is damaged or foreign"],
  ] as const;
  const found = findings.filter(([objects]) => objects > 0);
  if (found.length === 0) {
    return {
      isGood: true,
      sentence: `All ${grouped(total)} objects (${names}) are encrypted under version ${newest} of the key.`,
      next: undefined,
    };
  }
  const parts = found.map(([objects, words], index) => {
    const verb = index > 0 ? "" : objects === 1 ? "is " : "are ";
    return `${grouped(objects)} ${verb}${words} (${percent(objects, total)})`;
  });
  return {
    isGood: false,
    sentence: `Of ${grouped(total)} objects (${names}), ${parts.join(", ")}.`,
    next: nextStep(bad, plain + other + older, newest > 0),
  };
}

function nextStep(bad: number, movable: number, hasOurs: boolean): string {
  return [
    ...(bad > 0 ? ["find the damaged ones with `bao-kms-provider audit --list stale`"] : []),
    ...(movable > 0 && !hasOurs ? ["put this provider first in the EncryptionConfiguration"] : []),
    ...(movable > 0 ? ["run `bao-kms-provider migrate`"] : []),
  ].join(", then ");
}

/** kube-apiserver asks for each distinct seed once at a cold start, and encrypts with one seed for each start. */
function coldStartText({ seeds, source }: SourceAudit): string | undefined {
  if (seeds === undefined || seeds === 0) {
    return undefined;
  }
  const servers = source.kind === "etcd" ? Math.max(1, source.apiServers) : 1;
  const saved = seeds - servers;
  return `A cold start of an API server costs ${countOf(seeds, "Decrypt")}, one for each seed in use${
    saved > 0 ? `; after a rewrite of all objects it costs about ${servers}` : ""
  }.`;
}

function resourceNames(resources: readonly string[]): string {
  const named = resources.slice(0, MAX_NAMED_RESOURCES).map(visible);
  const more = resources.length - named.length;
  return `${named.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

/** Rounded, but 0 % and 100 % appear only when they are exact. */
function percent(part: number, total: number): string {
  const share = (part / total) * 100;
  return `${(part === total ? 100 : Math.min(99.9, Math.max(0.1, share))).toFixed(1)} %`;
}
