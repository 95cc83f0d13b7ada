/** @module The error class of the audit. A reader that meets damage throws: nothing is counted around it. */
import { type ErrorClass, ProviderError } from "../base/error-class.ts";

export type AuditCode =
  /** The file cannot be opened, or is none. */
  | "snapshot_unreadable"
  /** The disk failed while the file was read. */
  | "snapshot_read_failed"
  /** The file is no etcd database: neither a saved snapshot nor a copy of member/snap/db. */
  | "snapshot_not_etcd"
  /** The file is packed: gzip, zstd, xz, bzip2 or zip. */
  | "snapshot_compressed"
  /** The file ends before what its own header promises. */
  | "snapshot_truncated"
  /** The digest that etcdctl appended is not that of the bytes before it. */
  | "snapshot_hash_mismatch"
  /** A page or record contradicts itself or its parent. */
  | "snapshot_damaged"
  /** The file was written to while it was read. */
  | "snapshot_changed"
  /** No endpoint of the etcd cluster answered in time. */
  | "etcd_unreachable"
  /** The etcd cluster refused the client certificate or the user behind it. */
  | "etcd_denied"
  /** The audited revision was compacted again and again before the audit was through. */
  | "etcd_compacted"
  /** Two endpoints belong to different clusters. */
  | "etcd_other_cluster"
  /** An endpoint answered something that no etcd answers. */
  | "etcd_reply_invalid"
  /** One stored object is larger than the audit accepts. */
  | "etcd_object_too_large"
  /** More different resources, key_ids or providers than a count can hold. */
  | "too_many_groups"
  /** An evidence file is not one, was changed, or is of an unknown version. */
  | "evidence_invalid"
  /** A file is no report of probe. */
  | "node_report_invalid";

export class AuditError extends ProviderError<AuditCode> {}

/** What is in a file that was named failed its check; no class of the running provider means that. */
const FAILED_CHECKS: ReadonlySet<string> = new Set<AuditCode>([
  "snapshot_not_etcd",
  "snapshot_compressed",
  "snapshot_truncated",
  "snapshot_hash_mismatch",
  "snapshot_damaged",
  "snapshot_changed",
  "evidence_invalid",
  "node_report_invalid",
]);

/** Whether the content of a file was refused: a check that failed, and no failure of this program. */
export function isRefusedFile(error: ProviderError): boolean {
  return error instanceof AuditError && FAILED_CHECKS.has(error.code);
}

const CLASS_OF: Partial<Readonly<Record<AuditCode, ErrorClass>>> = {
  snapshot_unreadable: "config_invalid",
  etcd_unreachable: "timeout",
  etcd_compacted: "timeout",
  etcd_denied: "auth_failed",
  etcd_other_cluster: "config_invalid",
  etcd_reply_invalid: "protocol_limit",
  etcd_object_too_large: "protocol_limit",
  too_many_groups: "protocol_limit",
};

/** The advice for every fault inside a snapshot. */
export const SNAPSHOT_ADVICE =
  "nothing was counted; copy the file again and compare both with sha256sum, or take another one: etcdctl snapshot save FILE";

interface AuditFailure {
  readonly message: string;
  readonly advice?: string;
  readonly cause?: unknown;
}

/** The error of a code, with the error class that belongs to it. */
export function auditError(code: AuditCode, failure: AuditFailure): AuditError {
  return new AuditError({ code, errorClass: CLASS_OF[code] ?? "unknown", ...failure });
}

/** The refusal of a snapshot whose bytes contradict each other. */
export function damagedSnapshot(problem: string): AuditError {
  return auditError("snapshot_damaged", {
    message: `the snapshot is damaged: ${problem}`,
    advice: SNAPSHOT_ADVICE,
  });
}

/** The same error, said of the file in which it was found: several snapshots may be read in one run. */
export function inFile(path: string, { code, message, advice, cause }: AuditError): AuditError {
  return auditError(code, {
    message: `${path}: ${message}`,
    ...(advice === undefined ? {} : { advice }),
    cause,
  });
}
