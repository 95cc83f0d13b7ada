/**
 * OpenBao's answers as typed values.
 *
 * @module The one place where the bytes of an answer are decoded: bound (by the transport), UTF-8, JSON, shape of the
 * envelope. What is in `data` or `auth` is the business of whoever asked.
 */

/** What one answer holds. */
export interface Envelope {
  /** For finding the call in OpenBao's audit log; only successes carry one. */
  readonly requestId: string | undefined;
  /** `data`, or the whole document when it has no envelope, as that of sys/health. */
  readonly data: unknown;
  /** `auth`, in answers to logins and renewals. */
  readonly auth: unknown;
  /** Texts of a failure, to be compared and dropped. */
  readonly errors: readonly string[];
}

const EMPTY: Envelope = { requestId: undefined, data: undefined, auth: undefined, errors: [] };
const REQUEST_ID = /^[A-Za-z0-9-]{1,64}$/;
const MAX_ERRORS = 16;
const utf8 = new TextDecoder("utf-8", { fatal: true });

/** The envelope of a body; `undefined` when it is not a JSON object in UTF-8. No body at all is an empty envelope. */
export function decodeEnvelope(body: Uint8Array): Envelope | undefined {
  if (body.length === 0) {
    return EMPTY;
  }
  const document = jsonObjectOf(body);
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
  };
}

/** The JSON object of a body in UTF-8; `undefined` for all else. */
export function jsonObjectOf(body: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const document: unknown = JSON.parse(utf8.decode(body));
    return isObject(document) ? document : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a value is a JSON object. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Longest wait that a Retry-After is followed for. */
export const MAX_RETRY_AFTER_MS = 30_000;

/**
 * Retry-After in milliseconds, 0 to {@link MAX_RETRY_AFTER_MS}; `undefined` when there is none that can be read.
 * @see RFC 9110 section 10.2.3
 */
export function retryAfterMs(value: string | null, nowWallMs: number): number | undefined {
  if (value === null) {
    return undefined;
  }
  const ms = /^\d{1,9}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - nowWallMs;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), MAX_RETRY_AFTER_MS);
}
