/**
 * @module What an operator does to an OpenBao, the stand-in or a real one, over its HTTP interface. One client for tests and
 * the demo: with it the stand-in is set up by the very calls that set up the real one.
 */
import type { JsonObject } from "./reply.ts";

export interface OpenBaoAddress {
  readonly address: string;
  readonly caPem: string;
}

export interface OperatorReply {
  readonly status: number;
  /** `{}` when there is no body. */
  readonly body: JsonObject;
  readonly headers: Headers;
}

export interface CallOptions {
  readonly token?: string;
  readonly namespace?: string;
  readonly wrapTtl?: string;
  readonly timeoutMs?: number;
}

export interface Operator {
  /** One call, whatever its status. A text body is sent as it is. */
  readonly call: (
    method: string,
    path: string,
    body?: JsonObject | string,
    options?: CallOptions,
  ) => Promise<OperatorReply>;
  /** One call that must succeed. */
  readonly must: (
    method: string,
    path: string,
    body?: JsonObject,
    options?: CallOptions,
  ) => Promise<JsonObject>;
}

export function operator({ address, caPem }: OpenBaoAddress, rootToken: string): Operator {
  const call: Operator["call"] = async (method, path, body, options = {}) => {
    const response = await fetch(`${address}/v1/${path}`, {
      method,
      headers: {
        "x-vault-request": "true",
        "x-vault-token": options.token ?? rootToken,
        ...(options.namespace === undefined ? {} : { "x-vault-namespace": options.namespace }),
        ...(options.wrapTtl === undefined ? {} : { "x-vault-wrap-ttl": options.wrapTtl }),
      },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      tls: { ca: caPem, rejectUnauthorized: true },
      signal: AbortSignal.timeout(options.timeoutMs ?? 10_000),
    });
    const text = await response.text();
    const parsed: JsonObject = text.trim() === "" ? {} : JSON.parse(text);
    return { status: response.status, body: parsed, headers: response.headers };
  };
  return operatorWith(call);
}

/** Both ways to call, from the one that takes any status. */
export function operatorWith(call: Operator["call"]): Operator {
  return {
    call,
    must: async (method, path, body, options) => {
      const reply = await call(method, path, body, options);
      if (reply.status >= 300) {
        throw new Error(`${method} ${path} was answered ${reply.status} ${JSON.stringify(reply.body)}`);
      }
      return reply.body;
    },
  };
}
