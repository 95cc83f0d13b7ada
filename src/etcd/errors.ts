/** @module The error class of the audit. A reader that meets damage throws: nothing is counted around it. */
import { type ErrorClass, ProviderError, type ProviderErrorInit } from "../base/error-class.ts";

/**
 * The codes, each with its error class. `failed_check`: the content of a file that was named is refused; no class of the
 * running provider means that.
 */
const CLASS_OF = {
  /** The file cannot be opened, or is none. */
  snapshot_unreadable: "config_invalid",
  /** The disk failed while the file was read. */
  snapshot_read_failed: "unknown",
  /** The file is no etcd database: neither a saved snapshot nor a copy of member/snap/db. */
  snapshot_not_etcd: "failed_check",
  /** The file is packed: gzip, zstd, xz, bzip2 or zip. */
  snapshot_compressed: "failed_check",
  /** The file ends before what its own header promises. */
  snapshot_truncated: "failed_check",
  /** The digest that etcdctl appended is not that of the bytes before it. */
  snapshot_hash_mismatch: "failed_check",
  /** A page or record contradicts itself or its parent. */
  snapshot_damaged: "failed_check",
  /** The file was written to while it was read. */
  snapshot_changed: "failed_check",
  /** No endpoint of the etcd cluster answered in time. */
  etcd_unreachable: "timeout",
  /** The etcd cluster refused the client certificate or the user behind it. */
  etcd_denied: "auth_failed",
  /** The audited revision was compacted again and again before the audit was through. */
  etcd_compacted: "timeout",
  /** Two endpoints belong to different clusters. */
  etcd_other_cluster: "config_invalid",
  /** An endpoint answered something that no etcd answers. */
  etcd_reply_invalid: "protocol_limit",
  /** One stored object is larger than the audit accepts. */
  etcd_object_too_large: "protocol_limit",
  /** More different resources, key_ids or providers than a count can hold. */
  too_many_groups: "protocol_limit",
  /** An evidence file is not one, was changed, or is of an unknown version. */
  evidence_invalid: "failed_check",
  /** A file is no report of probe. */
  node_report_invalid: "failed_check",
} as const satisfies Readonly<Record<string, ErrorClass | "failed_check">>;

export type AuditCode = keyof typeof CLASS_OF;

export class AuditError extends ProviderError<AuditCode> {}

/** Whether the content of a file was refused: a check that failed, and no failure of this program. */
export function isRefusedFile(error: ProviderError): boolean {
  return error instanceof AuditError && CLASS_OF[error.code] === "failed_check";
}

/** The advice for every fault inside a snapshot. */
export const SNAPSHOT_ADVICE =
  "nothing was counted; copy the file again and compare both with sha256sum, or take another one: etcdctl snapshot save FILE";

/** The error of a code, with the error class that belongs to it. */
export function auditError(
  code: AuditCode,
  failure: Pick<ProviderErrorInit<AuditCode>, "message" | "advice" | "cause">,
): AuditError {
  const errorClass = CLASS_OF[code];
  return new AuditError({
    code,
    errorClass: errorClass === "failed_check" ? "unknown" : errorClass,
    ...failure,
  });
}

/** The refusal of a snapshot whose bytes contradict each other. */
export function damagedSnapshot(problem: string): AuditError {
  return auditError("snapshot_damaged", {
    message: `the snapshot is damaged: ${problem}`,
    advice: SNAPSHOT_ADVICE,
  });
}
