/** @module Tokens and their leases. Issue, find, count uses, renew up to the maximum, revoke. Time is a parameter. */
import { randomBytes, randomUUID } from "node:crypto";
import { durationText } from "./fields.ts";
import { auth, data, type JsonObject, type Reply, refuse, refuseWrapped } from "./reply.ts";
import {
  type Namespace,
  type OpenBaoState,
  SYSTEM_MAX_TTL_SECONDS,
  type Token,
  type TokenParameters,
} from "./state.ts";

export interface TokenOrigin {
  readonly namespace: string;
  readonly path: string;
  readonly displayName: string;
  readonly meta: Readonly<Record<string, string>>;
}

/** Makes a token as a login does and answers with it. */
export function issueToken(
  state: OpenBaoState,
  role: TokenParameters,
  origin: TokenOrigin,
  nowMs: number,
): Reply {
  const batch = role.type === "batch";
  const ttl = Math.min(firstTtl(role), maxTtl(role));
  const token: Token = {
    ...role,
    ...origin,
    id: batch ? `b.${randomBytes(120).toString("base64url")}` : `s.${randomText(24)}`,
    accessor: batch ? "" : randomText(24),
    issuedAtMs: nowMs,
    expiresAtMs: nowMs + ttl * 1000,
    usesLeft: role.numUses === 0 ? undefined : role.numUses,
  };
  state.tokens.set(token.id, token);
  return auth(authBlock(token, ttl));
}

export function makeRootToken(state: OpenBaoState, id: string, nowMs: number): void {
  state.tokens.set(id, {
    policies: ["root"],
    noDefaultPolicy: true,
    type: "service",
    ttlSeconds: 0,
    maxTtlSeconds: 0,
    explicitMaxTtlSeconds: 0,
    periodSeconds: 0,
    numUses: 0,
    namespace: "",
    path: "auth/token/create",
    displayName: "token",
    meta: {},
    id,
    accessor: randomText(24),
    issuedAtMs: nowMs,
    expiresAtMs: Number.POSITIVE_INFINITY,
    usesLeft: undefined,
  });
}

/** The live token of that id; an expired one is forgotten here. */
export function findToken(state: OpenBaoState, id: string, nowMs: number): Token | undefined {
  const token = state.tokens.get(id);
  if (token !== undefined && token.expiresAtMs <= nowMs) {
    state.tokens.delete(id);
    return undefined;
  }
  return token;
}

export function isRoot(token: Token): boolean {
  return token.policies.includes("root");
}

/** The policy texts that hold for a token in the namespace that issued it. */
export function policyTexts(namespace: Namespace, token: Token, defaultPolicy: string): readonly string[] {
  return policyNames(token).map((name) =>
    name === "default" ? defaultPolicy : (namespace.policies.get(name) ?? ""),
  );
}

function policyNames(token: Token): readonly string[] {
  return [...new Set([...(token.noDefaultPolicy ? [] : ["default"]), ...token.policies])].sort();
}

export function lookupSelf(token: Token, nowMs: number): Reply {
  const forever = token.expiresAtMs === Number.POSITIVE_INFINITY;
  return data({
    accessor: token.accessor,
    creation_time: Math.floor(token.issuedAtMs / 1000),
    creation_ttl: forever ? 0 : Math.min(firstTtl(token), maxTtl(token)),
    display_name: token.displayName,
    entity_id: "",
    expire_time: forever ? null : new Date(token.expiresAtMs).toISOString(),
    explicit_max_ttl: token.explicitMaxTtlSeconds,
    id: token.id,
    issue_time: new Date(token.issuedAtMs).toISOString(),
    meta: forever ? null : token.meta,
    num_uses: token.usesLeft ?? 0,
    orphan: true,
    path: token.path,
    ...(token.periodSeconds === 0 ? {} : { period: token.periodSeconds }),
    policies: policyNames(token),
    renewable: !forever && token.type === "service",
    ttl: forever ? 0 : Math.max(0, Math.floor((token.expiresAtMs - nowMs) / 1000)),
    type: token.type,
  });
}

/** Renews to `incrementSeconds` (0: the first lease), never beyond the maximum, which counts from the token's birth. */
export function renewSelf(token: Token, incrementSeconds: number, nowMs: number): Reply {
  if (token.type === "batch") {
    return refuse(400, "batch tokens cannot be renewed");
  }
  if (isRoot(token)) {
    return refuse(400, "lease is not renewable");
  }
  if (token.usesLeft === 0) {
    return refuse(400, "token not found");
  }
  const wanted =
    token.periodSeconds > 0
      ? token.periodSeconds
      : incrementSeconds === 0
        ? firstTtl(token)
        : incrementSeconds;
  const room =
    token.periodSeconds > 0 && token.explicitMaxTtlSeconds === 0
      ? wanted
      : Math.max(0, Math.round((token.issuedAtMs - nowMs) / 1000) + maxTtl(token));
  if (room === 0) {
    return refuseWrapped(500, "past the max TTL, cannot renew");
  }
  const granted = Math.min(wanted, room);
  token.expiresAtMs = nowMs + granted * 1000;
  const warnings =
    granted < wanted
      ? [
          `TTL of "${durationText(wanted)}" exceeded the effective max_ttl of "${durationText(room)}"; TTL value is capped accordingly`,
        ]
      : [];
  return auth(authBlock(token, granted), warnings);
}

function authBlock(token: Token, leaseSeconds: number): JsonObject {
  return {
    client_token: token.id,
    accessor: token.accessor,
    policies: policyNames(token),
    token_policies: policyNames(token),
    metadata: token.meta,
    lease_duration: leaseSeconds,
    renewable: token.type === "service",
    entity_id: randomUUID(),
    token_type: token.type,
    orphan: true,
    mfa_requirement: null,
    num_uses: token.numUses,
  };
}

function firstTtl(role: TokenParameters): number {
  const ttl = role.periodSeconds > 0 ? role.periodSeconds : role.ttlSeconds;
  return ttl === 0 ? SYSTEM_MAX_TTL_SECONDS : ttl;
}

function maxTtl(role: TokenParameters): number {
  return Math.min(
    SYSTEM_MAX_TTL_SECONDS,
    ...[role.maxTtlSeconds, role.explicitMaxTtlSeconds].filter((seconds) => seconds > 0),
  );
}

function randomText(length: number): string {
  return randomBytes(length).toString("base64").replace(/[+/=]/g, "A").slice(0, length);
}
