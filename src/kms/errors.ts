/** @module What leaves the socket when a call fails: a code and a constant text by class and code alone. */
import { Code } from "@connectrpc/connect";
import { type ErrorClass, ProviderError } from "../base/error-class.ts";
import type { AnnotationProblem } from "../key/identity/annotations.ts";

export type KmsCode = keyof typeof KMS_REPLIES | "key_id_malformed" | "annotations_refused";

export class KmsError extends ProviderError<KmsCode> {}

const ANNOTATION_CLASS = {
  missing: "aad_missing",
  disagrees: "aad_mismatch",
  malformed: "annotation_invalid",
  unexpected: "annotation_invalid",
} as const satisfies Record<AnnotationProblem, ErrorClass>;

/** Annotations that are not those of the key version; says which kind of wrong, never which value. */
export class AnnotationError extends KmsError {
  readonly problem: AnnotationProblem;

  constructor(problem: AnnotationProblem) {
    super({
      code: "annotations_refused",
      errorClass: ANNOTATION_CLASS[problem],
      message: `the annotations of a Decrypt are not those of its key version: ${problem}`,
    });
    this.problem = problem;
  }
}

interface Reply {
  readonly code: Code;
  readonly text: string;
}

const BY_CLASS: Readonly<Record<ErrorClass, Reply>> = {
  config_invalid: { code: Code.FailedPrecondition, text: "provider configuration is not valid" },
  socket_unavailable: { code: Code.Unavailable, text: "provider socket is not available" },
  auth_failed: { code: Code.Unauthenticated, text: "provider cannot log in to OpenBao" },
  auth_expired: { code: Code.Unauthenticated, text: "provider's OpenBao credential has expired" },
  openbao_rate_limited: { code: Code.ResourceExhausted, text: "OpenBao rate limit reached" },
  openbao_sealed: { code: Code.Unavailable, text: "OpenBao is sealed" },
  openbao_unavailable: { code: Code.Unavailable, text: "OpenBao is not reachable" },
  transit_key_missing: { code: Code.NotFound, text: "Transit key not found" },
  transit_policy_denied: { code: Code.PermissionDenied, text: "OpenBao policy denies the Transit call" },
  key_id_unknown: { code: Code.NotFound, text: "key_id is not known" },
  key_id_malformed: { code: Code.InvalidArgument, text: "key_id is malformed" },
  aad_missing: { code: Code.InvalidArgument, text: "an annotation is missing" },
  aad_mismatch: {
    code: Code.InvalidArgument,
    text: "ciphertext does not belong to key_id and annotations",
  },
  annotation_invalid: { code: Code.InvalidArgument, text: "annotations are not valid" },
  protocol_limit: { code: Code.InvalidArgument, text: "request is outside the limits of KMS v2" },
  status_stale: { code: Code.FailedPrecondition, text: "key state is not fit for this call" },
  timeout: { code: Code.DeadlineExceeded, text: "deadline exceeded" },
  canceled: { code: Code.Canceled, text: "call canceled" },
  registry_invalid: { code: Code.FailedPrecondition, text: "provider state is not valid" },
  token_device: { code: Code.Unavailable, text: "provider's key token is not available" },
  unknown: { code: Code.Internal, text: "internal error" },
};

/** Codes that tell more than their class, each with its own constant text. */
const KMS_REPLIES = {
  concurrency_limit: { code: Code.ResourceExhausted, text: "too many calls at once" },
  plaintext_empty: { code: Code.InvalidArgument, text: "plaintext is empty" },
  plaintext_too_large: { code: Code.InvalidArgument, text: "plaintext is too large" },
  ciphertext_size: { code: Code.InvalidArgument, text: "ciphertext must have 1 to 1024 bytes" },
  ciphertext_not_canonical: { code: Code.InvalidArgument, text: "ciphertext is not in canonical form" },
  ciphertext_version_differs: {
    code: Code.InvalidArgument,
    text: "ciphertext is of another key version than key_id",
  },
  key_id_size: { code: Code.InvalidArgument, text: "key_id must have 1 to 1024 bytes" },
  annotations_too_large: { code: Code.InvalidArgument, text: "annotations exceed 32768 bytes" },
  reply_out_of_bounds: { code: Code.Internal, text: "reply would be outside the limits of KMS v2" },
  no_key_version: { code: Code.Unavailable, text: "no key version is known yet" },
  /** Only with `status.outage: fail`. */
  openbao_outage: { code: Code.Unavailable, text: "OpenBao is unavailable" },
  active_version_lost: { code: Code.FailedPrecondition, text: "the active key version is lost" },
} as const satisfies Readonly<Record<string, Reply>>;

const BY_CODE: ReadonlyMap<string, Reply> = new Map<string, Reply>([
  ...Object.entries(KMS_REPLIES),
  ["version_removed", { code: Code.FailedPrecondition, text: "key version was removed by retire-versions" }],
  ["version_rejected", { code: Code.FailedPrecondition, text: "key version contradicts what was recorded" }],
]);

/** The code and constant text with which a failure of this class, and of this code if it has one of ours, leaves. */
export function replyFor(errorClass: ErrorClass, code: string | undefined): Reply {
  return (code === undefined ? undefined : BY_CODE.get(code)) ?? BY_CLASS[errorClass];
}

/** The code as gRPC writes it, for logs and metrics: `INVALID_ARGUMENT`. */
export function statusName(code: Code): string {
  return code === Code.Canceled ? "CANCELLED" : Code[code].replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
}
