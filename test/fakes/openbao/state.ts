/**
 * @module What the stand-in for OpenBao remembers. Plain data only, so that a lagging standby is a structuredClone of it. Who
 * changes it: the handlers beside.
 */
import type { Reply } from "./reply.ts";
import type { TransitKey } from "./transit-key.ts";

export interface OpenBaoState {
  sealed: boolean;
  /** Namespaces by path without a trailing slash; "" is the root. */
  readonly namespaces: Map<string, Namespace>;
  /** Tokens by id, those of every namespace. */
  readonly tokens: Map<string, Token>;
  /** Wrapped replies by wrapping token. */
  readonly wrapped: Map<string, WrappedReply>;
}

export interface Namespace {
  readonly transit: Map<string, TransitMount>;
  readonly auth: Map<string, AuthMount>;
  readonly policies: Map<string, string>;
}

export interface TransitMount {
  disableUpsert: boolean;
  readonly keys: Map<string, TransitKey>;
}

type AuthMount = JwtMount | AppRoleMount;

export interface JwtMount {
  readonly type: "jwt";
  /** Absent until `auth/<mount>/config` was written. */
  config: { readonly publicKeysPem: readonly string[]; readonly boundIssuer: string } | undefined;
  readonly roles: Map<string, JwtRole>;
}

export interface AppRoleMount {
  readonly type: "approle";
  readonly roles: Map<string, AppRole>;
}

/** The `token_*` fields that every login role has. */
export interface TokenParameters {
  readonly policies: readonly string[];
  readonly noDefaultPolicy: boolean;
  readonly type: "service" | "batch";
  readonly ttlSeconds: number;
  readonly maxTtlSeconds: number;
  readonly explicitMaxTtlSeconds: number;
  readonly periodSeconds: number;
  /** 0: any number. */
  readonly numUses: number;
}

export interface JwtRole extends TokenParameters {
  readonly userClaim: string;
  readonly boundAudiences: readonly string[];
  readonly boundSubject: string;
}

export interface AppRole extends TokenParameters {
  readonly roleId: string;
  readonly secretIdNumUses: number;
  readonly secretIdTtlSeconds: number;
  /** Remaining uses (0: any number) and end of each secret id. */
  readonly secretIds: Map<string, { usesLeft: number | undefined; readonly expiresAtMs: number }>;
}

export interface Token extends TokenParameters {
  readonly id: string;
  readonly accessor: string;
  readonly namespace: string;
  readonly path: string;
  readonly displayName: string;
  readonly meta: Readonly<Record<string, string>>;
  readonly issuedAtMs: number;
  /** Infinity for the root token. */
  expiresAtMs: number;
  /** What is left of `numUses`; undefined when uses are not counted. */
  usesLeft: number | undefined;
}

interface WrappedReply {
  readonly reply: Reply;
  readonly creationPath: string;
  readonly createdAtMs: number;
  readonly ttlSeconds: number;
}

/** Default and highest lifetime of a token when neither role nor mount says another: 32 days. */
export const SYSTEM_MAX_TTL_SECONDS = 32 * 24 * 3600;

export function emptyNamespace(): Namespace {
  return { transit: new Map(), auth: new Map(), policies: new Map() };
}

export function emptyState(): OpenBaoState {
  return {
    sealed: false,
    namespaces: new Map([["", emptyNamespace()]]),
    tokens: new Map(),
    wrapped: new Map(),
  };
}
