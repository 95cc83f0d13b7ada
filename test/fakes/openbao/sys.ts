/**
 * @module The `sys/` paths: health, capabilities, wrapping, and what an operator sets up. Replies of the system backend. Who
 * may call what is decided before (fake-openbao.ts).
 */
import { randomBytes } from "node:crypto";
import { textField } from "./fields.ts";
import { capabilitiesOn, parsePolicy } from "./policy.ts";
import {
  bare,
  data,
  flatData,
  type JsonObject,
  noContent,
  type Reply,
  refuse,
  unsupportedOperation,
  unsupportedPath,
  wrapInfo,
} from "./reply.ts";
import { emptyNamespace, type Namespace, type OpenBaoState } from "./state.ts";

const VERSION = "2.6.2";

export function healthReply(sealed: boolean, standby: boolean, query: URLSearchParams, nowMs: number): Reply {
  const code = (name: string, otherwise: number): number => {
    const text = query.get(name);
    return text !== null && /^[1-5]\d\d$/.test(text) ? Number(text) : otherwise;
  };
  const standbyOk = query.get("standbyok") === "true" || query.get("standbyok") === "";
  const status = sealed
    ? code("sealedcode", 503)
    : standby && !standbyOk
      ? code("standbycode", 429)
      : code("activecode", 200);
  return bare(status, {
    initialized: true,
    sealed,
    standby: sealed || standby,
    replication_performance_mode: sealed ? "unknown" : "disabled",
    replication_dr_mode: sealed ? "unknown" : "disabled",
    server_time_utc: Math.floor(nowMs / 1000),
    version: VERSION,
    ...(sealed ? {} : { cluster_name: "stand-in", cluster_id: "00000000-0000-4000-8000-000000000000" }),
  });
}

export function capabilitiesReply(body: JsonObject, policies: readonly string[], root: boolean): Reply {
  const listed = body["paths"] ?? body["path"];
  const paths = (Array.isArray(listed) ? listed : listed === undefined ? [] : [listed]).map(String);
  if (paths.length === 0) {
    return refuse(400, "paths must be supplied");
  }
  const byPath = paths.map((path) => [path, root ? ["root"] : capabilitiesOn(policies, path)] as const);
  const only = byPath.length === 1 ? byPath[0] : undefined;
  return flatData({
    ...(only === undefined ? {} : { capabilities: only[1] }),
    ...Object.fromEntries(byPath),
  });
}

/** Keeps a reply under a new single-use token and answers with that token. */
export function wrap(
  state: OpenBaoState,
  reply: Reply,
  creationPath: string,
  ttlSeconds: number,
  nowMs: number,
): Reply {
  const token = `s.${randomBytes(18).toString("base64url")}`;
  state.wrapped.set(token, { reply, creationPath, createdAtMs: nowMs, ttlSeconds });
  return wrapInfo({
    token,
    accessor: randomBytes(18).toString("base64url"),
    ttl: ttlSeconds,
    creation_time: new Date(nowMs).toISOString(),
    creation_path: creationPath,
  });
}

const badWrappingToken = refuse(400, "wrapping token is not valid or does not exist");

function liveWrapped(state: OpenBaoState, token: string, nowMs: number) {
  const found = state.wrapped.get(token);
  return found !== undefined && found.createdAtMs + found.ttlSeconds * 1000 > nowMs ? found : undefined;
}

export function wrappingLookup(
  state: OpenBaoState,
  body: JsonObject,
  callerToken: string,
  nowMs: number,
): Reply {
  const token = textField(body, "token") === "" ? callerToken : textField(body, "token");
  if (token === "") {
    return refuse(403, "error validating wrapping token: token is empty");
  }
  const found = liveWrapped(state, token, nowMs);
  return found === undefined
    ? badWrappingToken
    : data({
        creation_path: found.creationPath,
        creation_time: new Date(found.createdAtMs).toISOString(),
        creation_ttl: found.ttlSeconds,
      });
}

/** Unwraps the token in the body (the caller then needs one of its own) or the caller's token itself. */
export function unwrap(
  state: OpenBaoState,
  body: JsonObject,
  callerToken: string,
  callerIsKnown: boolean,
  nowMs: number,
): Reply {
  const named = textField(body, "token");
  const token = named === "" ? callerToken : named;
  const found = liveWrapped(state, token, nowMs);
  if (found === undefined) {
    return badWrappingToken;
  }
  if (named !== "" && named !== callerToken && !callerIsKnown) {
    return refuse(403, "permission denied");
  }
  state.wrapped.delete(token);
  return found.reply;
}

/** Mounts, login methods, policies and namespaces: what the root token sets up. */
export function administer(
  state: OpenBaoState,
  namespace: Namespace,
  namespacePath: string,
  method: string,
  path: string,
  body: JsonObject,
): Reply {
  const [, kind, name = ""] = /^(mounts|auth|policies\/acl|namespaces)\/(.+?)\/?$/.exec(path) ?? [];
  if (kind === undefined) {
    return unsupportedPath;
  }
  if (method !== "POST") {
    return unsupportedOperation;
  }
  switch (kind) {
    case "mounts":
      return mountEngine(namespace, name, textField(body, "type"));
    case "auth":
      return mountAuth(namespace, name, textField(body, "type"));
    case "policies/acl":
      return writePolicy(namespace, name, textField(body, "policy"));
    default:
      state.namespaces.set(namespacePath === "" ? name : `${namespacePath}/${name}`, emptyNamespace());
      return data({ path: `${name}/` });
  }
}

function mountEngine(namespace: Namespace, name: string, type: string): Reply {
  if (namespace.transit.has(name)) {
    return refuse(400, `path is already in use at ${name}/`);
  }
  if (type !== "transit") {
    return refuse(400, `plugin not found in the catalog: ${type}`);
  }
  namespace.transit.set(name, { disableUpsert: false, keys: new Map() });
  return noContent;
}

function mountAuth(namespace: Namespace, name: string, type: string): Reply {
  if (namespace.auth.has(name)) {
    return refuse(400, `path is already in use at ${name}/`);
  }
  switch (type) {
    case "jwt":
      namespace.auth.set(name, { type, config: undefined, roles: new Map() });
      return noContent;
    case "approle":
      namespace.auth.set(name, { type, roles: new Map() });
      return noContent;
    default:
      return refuse(400, `plugin not found in the catalog: ${type}`);
  }
}

function writePolicy(namespace: Namespace, name: string, text: string): Reply {
  if (parsePolicy(text) === undefined) {
    return refuse(400, "failed to parse policy");
  }
  namespace.policies.set(name, text);
  return noContent;
}
