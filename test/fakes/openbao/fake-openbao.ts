/**
 * @module A stand-in for OpenBao 2.6.2, without a socket: the calls of the wire contract, and what an operator needs to set them
 * up. The contract suite in test/contract holds it to the real OpenBao.
 */
import { appRoleLogin, appRoleMountReply } from "./approle-auth.ts";
import { type Call, type FakeRequest, parseCall } from "./call.ts";
import { type Fault, type FaultScope, faultFor, type InstalledFault } from "./faults.ts";
import { FieldError, secondsField } from "./fields.ts";
import { jwtLogin, jwtMountReply, type LoginResult } from "./jwt-auth.ts";
import { capabilitiesOn, DEFAULT_POLICY } from "./policy.ts";
import {
  badToken,
  deniedByPolicy,
  type JsonObject,
  noContent,
  type Reply,
  refuse,
  sealedReply,
  unsupportedOperation,
} from "./reply.ts";
import { emptyState, type Namespace, type OpenBaoState, type Token } from "./state.ts";
import { administer, capabilitiesReply, healthReply, unwrap, wrap, wrappingLookup } from "./sys.ts";
import {
  findToken,
  isRoot,
  issueToken,
  lookupSelf,
  makeRootToken,
  policyTexts,
  renewSelf,
} from "./tokens.ts";
import { transitReply, transitWriteCapability } from "./transit.ts";

/** What a test may want to know of a call that was answered; no secrets of it are kept. */
interface RecordedCall {
  readonly method: string;
  /** Without `/v1/`, namespace or query. */
  readonly path: string;
  readonly namespace: string;
  readonly status: number;
}

export interface FakeOpenBaoOptions {
  /** Wall clock in milliseconds; default: the system's. */
  readonly now?: () => number;
  readonly rootToken?: string;
}

export interface FakeOpenBao {
  readonly rootToken: string;
  /** All there is, open to tests: `state.sealed = true`, a key's `imported`, a token's expiry. */
  readonly state: OpenBaoState;
  readonly calls: readonly RecordedCall[];
  /** The reply, and the fault that is to be put over it. */
  readonly handle: (request: FakeRequest) => { readonly reply: Reply; readonly fault: Fault | undefined };
  /** Switches a fault on for every call, or for those of the scope; the result switches it off. */
  readonly inject: (fault: Fault, scope?: FaultScope) => () => void;
  /** A second node over the same data that answers reads and says so in sys/health. */
  readonly standby: () => Standby;
}

interface Standby extends FakeOpenBao {
  /** From now on this node answers from a copy of today's data, until it catches up. */
  readonly lag: () => void;
  readonly catchUp: () => void;
}

export function makeFakeOpenBao(options: FakeOpenBaoOptions = {}): FakeOpenBao {
  const state = emptyState();
  const now = options.now ?? Date.now;
  const rootToken = options.rootToken ?? "root";
  makeRootToken(state, rootToken, now());
  return node(() => state, now, rootToken, false);
}

function node(
  state: () => OpenBaoState,
  now: () => number,
  rootToken: string,
  isStandby: boolean,
): FakeOpenBao {
  const calls: RecordedCall[] = [];
  const faults: InstalledFault[] = [];
  return {
    rootToken,
    get state() {
      return state();
    },
    calls,
    handle: (request) => {
      const call = parseCall(state(), request);
      const fault = faultFor(faults, call.path);
      const reply =
        fault?.kind === "reply"
          ? { status: fault.status, body: undefined }
          : answer(state(), call, now(), isStandby);
      calls.push({
        method: call.method,
        path: call.path,
        namespace: call.namespacePath,
        status: reply.status,
      });
      return { reply, fault };
    },
    inject: (fault, scope = {}) => {
      const installed: InstalledFault = {
        fault,
        path: scope.path,
        left: scope.times ?? Number.POSITIVE_INFINITY,
      };
      faults.push(installed);
      return () => {
        installed.left = 0;
      };
    },
    standby: () => {
      let copy: OpenBaoState | undefined;
      const own = node(() => copy ?? state(), now, rootToken, true);
      return {
        ...own,
        get state() {
          return own.state;
        },
        lag: () => {
          copy = structuredClone(state());
        },
        catchUp: () => {
          copy = undefined;
        },
      };
    },
  };
}

function answer(state: OpenBaoState, call: Call, nowMs: number, isStandby: boolean): Reply {
  if (call.path.endsWith("sys/health") && call.namesNamespace) {
    return refuse(400, "operation unavailable in namespaces");
  }
  if (call.path === "sys/health") {
    return healthReply(state.sealed, isStandby, call.query, nowMs);
  }
  if (call.body === undefined) {
    return refuse(400, `failed to decode JSON input: ${call.bodyProblem}`);
  }
  if (state.sealed) {
    return sealedReply;
  }
  if (call.namespace === undefined) {
    return refuse(404, "namespace not found");
  }
  try {
    const reply = dispatch(state, { ...call, namespace: call.namespace, body: call.body }, nowMs);
    return call.wrapTtlSeconds > 0 && reply.status === 200
      ? wrap(state, reply, call.path, call.wrapTtlSeconds, nowMs)
      : reply;
  } catch (error) {
    if (error instanceof FieldError) {
      return refuse(400, error.message);
    }
    throw error;
  }
}

type GoodCall = Call & { readonly namespace: Namespace; readonly body: JsonObject };

function dispatch(state: OpenBaoState, call: GoodCall, nowMs: number): Reply {
  const { method, path, body } = call;
  const login = /^auth\/(.+)\/login$/.exec(path)?.[1];
  if (login !== undefined && call.namespace.auth.has(login)) {
    return method === "POST" ? logIn(state, call, login, nowMs) : unsupportedOperation;
  }
  if (path === "sys/wrapping/lookup") {
    return wrappingLookup(state, body, call.token, nowMs);
  }
  if (path === "sys/wrapping/unwrap") {
    return unwrap(state, body, call.token, findToken(state, call.token, nowMs) !== undefined, nowMs);
  }
  const token = findToken(state, call.token, nowMs);
  if (token === undefined || token.usesLeft === 0) {
    return badToken;
  }
  if (token.usesLeft !== undefined) {
    token.usesLeft -= 1;
  }
  const home = state.namespaces.get(token.namespace);
  const policies = home === undefined ? [] : policyTexts(home, token, DEFAULT_POLICY);
  if (!isRoot(token) && !mayCall(call, token, policies)) {
    return deniedByPolicy;
  }
  return authorised(state, call, token, policies, nowMs);
}

function mayCall(call: GoodCall, token: Token, policies: readonly string[]): boolean {
  if (token.namespace !== call.namespacePath) {
    return false;
  }
  return capabilitiesOn(policies, call.path).includes(neededCapability(call));
}

function neededCapability({ method, path, namespace }: GoodCall): string {
  switch (method) {
    case "GET":
      return "read";
    case "DELETE":
      return "delete";
    default: {
      const [mountName, mount, rest] = transitMountOf(namespace, path);
      return mountName === undefined || mount === undefined ? "update" : transitWriteCapability(mount, rest);
    }
  }
}

function logIn(state: OpenBaoState, call: GoodCall, mountName: string, nowMs: number): Reply {
  const mount = call.namespace.auth.get(mountName);
  const result: LoginResult =
    mount?.type === "jwt"
      ? jwtLogin(mount, call.body, nowMs)
      : mount?.type === "approle"
        ? appRoleLogin(mount, call.body, nowMs)
        : { reply: badToken };
  if ("reply" in result) {
    return result.reply;
  }
  const { role, displayName, meta } = result.login;
  return issueToken(
    state,
    role,
    {
      namespace: call.namespacePath,
      path: `auth/${mountName}/login`,
      displayName: displayName === mountName ? mountName : `${mountName}-${displayName}`,
      meta,
    },
    nowMs,
  );
}

function authorised(
  state: OpenBaoState,
  call: GoodCall,
  token: Token,
  policies: readonly string[],
  nowMs: number,
): Reply {
  const { method, path, body, namespace } = call;
  const write = method === "POST";
  switch (path) {
    case "auth/token/lookup-self":
      return method === "GET" ? lookupSelf(token, nowMs) : unsupportedOperation;
    case "auth/token/renew-self":
      return write ? renewSelf(token, secondsField(body, "increment"), nowMs) : unsupportedOperation;
    case "auth/token/revoke-self":
      if (token.type === "batch") {
        return refuse(400, "batch tokens cannot be revoked");
      }
      state.tokens.delete(token.id);
      return noContent;
    case "sys/capabilities-self":
      return write ? capabilitiesReply(body, policies, isRoot(token)) : unsupportedOperation;
    default:
      break;
  }
  if (path.startsWith("sys/")) {
    return administer(state, namespace, call.namespacePath, method, path.slice("sys/".length), body);
  }
  const auth = [...namespace.auth].find(([name]) => path.startsWith(`auth/${name}/`));
  if (auth !== undefined) {
    const rest = path.slice(`auth/${auth[0]}/`.length);
    return auth[1].type === "jwt"
      ? jwtMountReply(auth[1], method, rest, body)
      : appRoleMountReply(auth[1], method, rest, body, nowMs);
  }
  const [, mount, rest] = transitMountOf(namespace, path);
  return mount === undefined
    ? refuse(404, `no handler for route ${JSON.stringify(path)}. route entry not found.`)
    : transitReply(mount, method, rest, body, nowMs);
}

function transitMountOf(namespace: Namespace, path: string) {
  const [name, mount] = [...namespace.transit].find(([each]) => path.startsWith(`${each}/`)) ?? [];
  return [name, mount, name === undefined ? "" : path.slice(name.length + 1)] as const;
}
