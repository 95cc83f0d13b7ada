/** @module OpenBao's answers as typed values, and the code of one that is not a success. */
import * as v from "valibot";
import { parseJsonObject } from "../../base/parse-json.ts";
import type { AnswerCode } from "./errors.ts";

/** The parts of one answer. */
interface Envelope {
  /** For finding the call in OpenBao's audit log; only successes carry one. */
  readonly requestId: string | undefined;
  /** `data`, or the whole document when it has no envelope, as that of sys/health. */
  readonly data: unknown;
  /** `auth`, in answers to logins and renewals. */
  readonly auth: unknown;
  /** Texts of a failure, to be compared and dropped. */
  readonly errors: readonly string[];
  /** Whether it has what only OpenBao's answers have; an empty body proves nothing. */
  readonly isOpenBaos: boolean;
}

const EMPTY: Envelope = {
  requestId: undefined,
  data: undefined,
  auth: undefined,
  errors: [],
  isOpenBaos: true,
};
const REQUEST_ID = /^[A-Za-z0-9-]{1,64}$/;
const MAX_ERRORS = 16;

/** The envelope of a body; `undefined` when it is not a JSON object in UTF-8. No body at all is an empty envelope. */
export function decodeEnvelope(body: Uint8Array): Envelope | undefined {
  if (body.length === 0) {
    return EMPTY;
  }
  const document = parseJsonObject(body);
  if (document === undefined) {
    return undefined;
  }
  const { request_id: requestId, errors } = document;
  return {
    requestId: typeof requestId === "string" && REQUEST_ID.test(requestId) ? requestId : undefined,
    data: requestId === undefined ? document : document["data"],
    auth: document["auth"],
    errors: Array.isArray(errors)
      ? errors.slice(0, MAX_ERRORS).filter((each) => typeof each === "string")
      : [],
    isOpenBaos: requestId !== undefined || Array.isArray(errors),
  };
}

/** Longest wait that a Retry-After is followed for. */
export const MAX_RETRY_AFTER_MS = 30_000;

/** Retry-After (RFC 9110 section 10.2.3) in milliseconds, at most {@link MAX_RETRY_AFTER_MS}; `undefined` for none, or nonsense. */
export function retryAfterMs(value: string | null, nowWallMs: number): number | undefined {
  if (value === null) {
    return undefined;
  }
  const ms = /^\d{1,9}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - nowWallMs;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), MAX_RETRY_AFTER_MS);
}

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

/** The code of an answer of sys/health that is not a success: the reason is in its fields, not in errors. */
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
