/**
 * @module OpenBao's client on a transport that answers from a script, address by address, on a clock that the test moves. For
 * the tests of src/openbao; what OpenBao itself answers is in fakes/openbao.
 */
import { type TransportCode, transportError } from "../../src/http/errors.ts";
import type { HttpRequest, HttpTransport } from "../../src/http/https.ts";
import type { OpenBaoCall } from "../../src/openbao/client/attempt.ts";
import { type CallReport, createOpenBaoClient } from "../../src/openbao/client/client.ts";
import { OpenBaoError } from "../../src/openbao/client/errors.ts";
import { OPENBAO_NAMES } from "../../src/provider/transit-access.ts";
import { manualClock } from "./manual-clock.ts";

export const A = "https://a:8200";
export const B = "https://b:8200";
export const C = "https://c:8200";

export type Answer =
  | TransportCode
  | { status: number; body?: unknown; headers?: Record<string, string> }
  | ((request: HttpRequest) => Promise<Answer>);

export const OK: Answer = { status: 200, body: { request_id: "id-1", data: { x: 1 } } };
export const error = (status: number, ...errors: string[]): Answer => ({ status, body: { errors } });
export const SEALED = error(503, "Vault is sealed");

/** OpenBao behind a transport that answers by address; `asked` records the requests. */
export function scriptedOpenBao(
  answers: Readonly<Record<string, Answer | Answer[]>>,
  more: { namespace?: string } = {},
) {
  const clock = manualClock();
  const asked: HttpRequest[] = [];
  const reports: CallReport[] = [];
  const nodes: number[] = [];
  const answer = async (request: HttpRequest, each: Answer): ReturnType<HttpTransport["request"]> => {
    if (typeof each === "function") {
      return answer(request, await each(request));
    }
    if (typeof each === "string") {
      throw transportError(each, OPENBAO_NAMES, new URL(request.url).origin);
    }
    const text = typeof each.body === "string" ? each.body : JSON.stringify(each.body ?? null);
    const body = each.body === undefined ? new Uint8Array(0) : Buffer.from(text);
    return { status: each.status, headers: new Headers(each.headers), body };
  };
  const transport: HttpTransport = {
    request: (request) => {
      asked.push(request);
      const script = answers[new URL(request.url).origin];
      const each = Array.isArray(script) ? (script.length > 1 ? script.shift() : script[0]) : script;
      return answer(request, each ?? "connect_refused");
    },
    reloadTrust: async () => false,
    close: () => {},
  };
  const [first = A, ...others] = Object.keys(answers);
  const openbao = createOpenBaoClient({
    transport,
    clock,
    addresses: [first, ...others],
    namespace: more.namespace ?? "",
    timeoutMs: 2000,
    observer: { onCall: (report) => reports.push(report), onNode: (index) => nodes.push(index) },
  });
  const ask = (call: Partial<OpenBaoCall> = {}) =>
    openbao.call({
      operation: "transit_decrypt",
      method: "POST",
      path: "transit/decrypt/k",
      body: "{}",
      idempotent: true,
      signal: new AbortController().signal,
      ...call,
    });
  const codeOf = async (call: Partial<OpenBaoCall> = {}): Promise<string> =>
    ask(call).then(
      () => "ok",
      (thrown: unknown) => (thrown instanceof OpenBaoError ? thrown.code : String(thrown)),
    );
  return {
    clock,
    asked,
    reports,
    nodes,
    openbao,
    ask,
    codeOf,
    origins: () => asked.map(({ url }) => new URL(url).origin),
  };
}
