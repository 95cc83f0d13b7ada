/**
 * @module From an HTTP request to a call: namespace, path, token, body. Reads headers and JSON as OpenBao does; decides
 * nothing.
 */
import { secondsField } from "./fields.ts";
import { isJsonObject, type Json, type JsonObject } from "./reply.ts";
import type { Namespace, OpenBaoState } from "./state.ts";

/** An HTTP request as far as OpenBao looks at it; header names in lower case. */
export interface FakeRequest {
  readonly method: string;
  /** Path and query, beginning with `/v1/`. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: string;
}

/** A request as the handlers take it. */
export interface Call {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly namespacePath: string;
  /** Whether a header named one, which may not be there. */
  readonly namesNamespace: boolean;
  readonly namespace: Namespace | undefined;
  readonly token: string;
  readonly wrapTtlSeconds: number;
  /** `undefined`: not a JSON object. */
  readonly body: JsonObject | undefined;
  readonly bodyProblem: string;
}

export function parseCall(state: OpenBaoState, request: FakeRequest): Call {
  const url = new URL(request.target, "https://openbao.invalid");
  const header = (name: string): string => request.headers[name] ?? "";
  const method = request.method === "PUT" ? "POST" : request.method;
  const full = [header("x-vault-namespace").replace(/^\/+|\/+$/g, ""), url.pathname.replace(/^\/v1\//, "")]
    .filter((part) => part !== "")
    .join("/");
  // A namespace may be named by the header, by the path, or by both; the longest known one wins.
  const known = [...state.namespaces.keys()].filter((path) => path !== "" && full.startsWith(`${path}/`));
  const namespacePath = known.sort((a, b) => b.length - a.length)[0] ?? "";
  const named = header("x-vault-namespace").replace(/^\/+|\/+$/g, "");
  const body = parseBody(request.body);
  return {
    method,
    path: namespacePath === "" ? full : full.slice(namespacePath.length + 1),
    query: url.searchParams,
    namespacePath,
    namesNamespace: named !== "",
    namespace: named !== "" && namespacePath === "" ? undefined : state.namespaces.get(namespacePath),
    token: header("x-vault-token"),
    wrapTtlSeconds: secondsField({ ttl: header("x-vault-wrap-ttl") }, "ttl"),
    body: "problem" in body ? undefined : body.value,
    bodyProblem: "problem" in body ? body.problem : "",
  };
}

function parseBody(text: string): { readonly value: JsonObject } | { readonly problem: string } {
  if (text === "") {
    return { value: {} };
  }
  try {
    const value: Json = JSON.parse(text);
    if (isJsonObject(value)) {
      return { value };
    }
    return { problem: "json: cannot unmarshal array into Go value of type map[string]interface {}" };
  } catch {
    return { problem: "unexpected EOF" };
  }
}
