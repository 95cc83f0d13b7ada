/** @module The code of an answer that is not a success. */
import * as v from "valibot";
import type { AnswerCode } from "./errors.ts";

interface AnswerRule {
  readonly status: number;
  /** Part of one of the texts in `errors`; without it the rule takes the whole status. */
  readonly text?: string;
  readonly code: AnswerCode;
}

/** First match wins. Texts as OpenBao 2.6.2 gives them. */
const ANSWERS: readonly AnswerRule[] = [
  { status: 400, text: "message authentication failed", code: "decrypt_failed" },
  { status: 400, text: "encryption key not found", code: "key_missing" },
  { status: 400, text: "soft-deleted key", code: "key_soft_deleted" },
  { status: 400, text: "version is too new", code: "version_too_new" },
  { status: 400, text: "higher than the latest key version", code: "version_too_new" },
  { status: 400, text: "no such key version", code: "version_missing" },
  { status: 400, text: "disallowed by policy (too old)", code: "version_too_old" },
  { status: 400, text: "less than the minimum encryption key version", code: "version_too_old" },
  { status: 400, text: "invalid ciphertext", code: "ciphertext_refused" },
  { status: 400, text: "lease is not renewable", code: "not_renewable" },
  { status: 400, text: "batch tokens cannot be renewed", code: "not_renewable" },
  { status: 400, text: "could not be found", code: "login_role_missing" },
  { status: 400, text: "token is expired", code: "login_jwt_expired" },
  { status: 400, text: "verifying token signature", code: "login_jwt_untrusted" },
  { status: 400, text: "known key successfully validated", code: "login_jwt_untrusted" },
  { status: 400, text: "error validating token", code: "login_claims_refused" },
  { status: 400, text: "error validating claims", code: "login_claims_refused" },
  { status: 400, text: "invalid role or secret ID", code: "login_secret_refused" },
  { status: 400, text: "no client certificate supplied", code: "login_certificate_refused" },
  { status: 400, text: "for this login certificate", code: "login_certificate_refused" },
  { status: 400, text: "wrapping token is not valid", code: "wrapping_token_unknown" },
  { status: 401, code: "permission_denied" },
  { status: 403, code: "permission_denied" },
  { status: 404, text: "namespace not found", code: "namespace_missing" },
  { status: 404, text: "no handler for route", code: "mount_missing" },
  { status: 404, code: "not_found" },
  { status: 412, code: "standby_behind" },
  { status: 429, code: "rate_limited" },
  { status: 472, code: "standby" },
  { status: 473, code: "standby" },
  { status: 500, text: "active cluster node not found", code: "standby" },
  { status: 500, text: "past the max TTL", code: "not_renewable" },
  { status: 501, code: "not_initialized" },
  { status: 503, text: "namespace is sealed", code: "namespace_sealed" },
  { status: 503, text: "API access to this namespace has been locked", code: "namespace_locked" },
  { status: 503, text: "sealed", code: "sealed" },
  { status: 503, text: "not initialized", code: "not_initialized" },
  { status: 503, text: "standby", code: "standby" },
];

const HEALTH = v.object({ initialized: v.boolean(), sealed: v.boolean(), standby: v.boolean() });

/**
 * The code of an answer of sys/health that is not a success: it says why in its fields, not in errors.
 * @see https://openbao.org/api-docs/system/health/
 */
export function healthCodeOf(data: unknown): AnswerCode | undefined {
  const health = v.safeParse(HEALTH, data);
  if (!health.success) {
    return undefined;
  }
  const { initialized, sealed, standby } = health.output;
  return initialized ? (sealed ? "sealed" : standby ? "standby" : undefined) : "not_initialized";
}

/** Content types that a message may name; a remote's own text never gets into one. */
const CONTENT_TYPES: ReadonlySet<string> = new Set([
  "text/html",
  "text/plain",
  "text/xml",
  "application/json",
  "application/problem+json",
  "application/xml",
  "application/octet-stream",
]);

/** An answer of a proxy, a load balancer or another server, in words for a message. */
export function foreignAnswer(status: number, contentType: string | null): string {
  const type = contentType?.split(";", 1)[0]?.trim().toLowerCase() ?? "";
  const words =
    type === ""
      ? "no content type"
      : CONTENT_TYPES.has(type)
        ? `content type ${type}`
        : "another content type";
  return `HTTP ${status} with ${words}`;
}

/** The code of an answer that is not a success. `texts` are the entries of its `errors`. */
export function answerCodeOf(status: number, texts: readonly string[]): AnswerCode {
  for (const rule of ANSWERS) {
    const { text } = rule;
    if (rule.status === status && (text === undefined || texts.some((each) => each.includes(text)))) {
      return rule.code;
    }
  }
  return status >= 500 ? "server_error" : status >= 400 ? "request_refused" : "unexpected_status";
}
