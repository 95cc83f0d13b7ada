/** @module OpenBao's answers as typed values. */

import { parseJsonObject } from "../../base/parse-json.ts";

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
