/**
 * @module The shapes in which OpenBao answers. Replies as values and their envelope; every shape was seen with OpenBao 2.6.2.
 * No meaning of any path.
 */
import { randomUUID } from "node:crypto";

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

export function isJsonObject(value: Json): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export interface Reply {
  readonly status: number;
  /** `undefined`: no body, as with 204. */
  readonly body: JsonObject | undefined;
}

function envelope(parts: {
  data?: Json;
  auth?: Json;
  wrap_info?: Json;
  warnings?: readonly string[];
  requestId?: string;
}): JsonObject {
  return {
    request_id: parts.requestId ?? randomUUID(),
    lease_id: "",
    renewable: false,
    lease_duration: 0,
    data: parts.data ?? null,
    wrap_info: parts.wrap_info ?? null,
    warnings: parts.warnings === undefined || parts.warnings.length === 0 ? null : parts.warnings,
    auth: parts.auth ?? null,
  };
}

export function data(
  value: JsonObject,
  options: { status?: number; warnings?: readonly string[] } = {},
): Reply {
  return {
    status: options.status ?? 200,
    body: envelope({
      data: value,
      ...(options.warnings === undefined ? {} : { warnings: options.warnings }),
    }),
  };
}

/** sys/capabilities-self repeats its data beside the envelope. */
export function flatData(value: JsonObject): Reply {
  return { status: 200, body: { ...value, ...envelope({ data: value }) } };
}

export function auth(value: JsonObject, warnings: readonly string[] = []): Reply {
  return { status: 200, body: envelope({ auth: value, warnings }) };
}

/** The reply that stands for a wrapped one; its request_id is empty. */
export function wrapInfo(value: JsonObject): Reply {
  return { status: 200, body: envelope({ wrap_info: value, requestId: "" }) };
}

/** A body without envelope, as of sys/health. */
export function bare(status: number, body: JsonObject): Reply {
  return { status, body };
}

export const noContent: Reply = { status: 204, body: undefined };

export function refuse(status: number, ...errors: readonly string[]): Reply {
  return { status, body: { errors } };
}

/** The form that errors take when they passed through Go's multierror. */
export function refuseWrapped(status: number, error: string): Reply {
  return refuse(status, `1 error occurred:\n\t* ${error}\n\n`);
}

/** A token that is unknown, expired or missing. */
export const badToken = refuse(403, "permission denied");
/** A good token whose policies do not allow it. */
export const deniedByPolicy = refuseWrapped(403, "permission denied");
export const unsupportedOperation = refuseWrapped(405, "unsupported operation");
export const unsupportedPath = refuseWrapped(404, "unsupported path");
export const notFound = refuse(404);
export const sealedReply = refuse(503, "Vault is sealed");
