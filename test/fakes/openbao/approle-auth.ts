/** @module AppRole login. Roles, secret ids and login of one `auth/approle` mount. */
import { randomUUID } from "node:crypto";
import { intField, secondsField, textField } from "./fields.ts";
import type { LoginResult } from "./jwt-auth.ts";
import {
  data,
  type JsonObject,
  noContent,
  notFound,
  type Reply,
  refuse,
  unsupportedOperation,
  unsupportedPath,
} from "./reply.ts";
import type { AppRole, AppRoleMount } from "./state.ts";
import { tokenParameters } from "./token-parameters.ts";

export function appRoleMountReply(
  mount: AppRoleMount,
  method: string,
  path: string,
  body: JsonObject,
  nowMs: number,
): Reply {
  const match = /^role\/([^/]+)(?:\/(role-id|secret-id|secret-id\/lookup))?$/.exec(path);
  if (match === null) {
    return unsupportedPath;
  }
  const [, name = "", part] = match;
  const role = mount.roles.get(name);
  if (part === undefined) {
    if (method !== "POST") {
      return unsupportedOperation;
    }
    mount.roles.set(name, {
      ...tokenParameters(body),
      roleId: role?.roleId ?? randomUUID(),
      secretIdNumUses: intField(body, "secret_id_num_uses"),
      secretIdTtlSeconds: secondsField(body, "secret_id_ttl"),
      secretIds: role?.secretIds ?? new Map(),
    });
    return noContent;
  }
  if (role === undefined) {
    return notFound;
  }
  if (part === "role-id") {
    return method === "GET" ? data({ role_id: role.roleId }) : unsupportedOperation;
  }
  if (method !== "POST") {
    return unsupportedOperation;
  }
  if (part === "secret-id/lookup") {
    return secretIdReply(role, textField(body, "secret_id"), nowMs);
  }
  const secretId = randomUUID();
  role.secretIds.set(secretId, {
    usesLeft: role.secretIdNumUses === 0 ? undefined : role.secretIdNumUses,
    expiresAtMs:
      role.secretIdTtlSeconds === 0 ? Number.POSITIVE_INFINITY : nowMs + role.secretIdTtlSeconds * 1000,
  });
  return data({
    secret_id: secretId,
    secret_id_accessor: randomUUID(),
    secret_id_num_uses: role.secretIdNumUses,
    secret_id_ttl: role.secretIdTtlSeconds,
  });
}

/** No content for one that it does not know, as for one that is used up. */
function secretIdReply({ secretIds, secretIdTtlSeconds }: AppRole, secretId: string, nowMs: number): Reply {
  const known = secretIds.get(secretId);
  if (known === undefined || known.expiresAtMs <= nowMs) {
    return noContent;
  }
  const { usesLeft, expiresAtMs } = known;
  return data({
    secret_id_num_uses: usesLeft ?? 0,
    secret_id_ttl: secretIdTtlSeconds,
    expiration_time: Number.isFinite(expiresAtMs)
      ? new Date(expiresAtMs).toISOString()
      : "0001-01-01T00:00:00Z",
  });
}

export function appRoleLogin(mount: AppRoleMount, body: JsonObject, nowMs: number): LoginResult {
  const roleId = textField(body, "role_id");
  const secretId = textField(body, "secret_id");
  if (roleId === "") {
    return { reply: refuse(500, "missing role_id") };
  }
  const [name, role] = [...mount.roles].find(([, each]) => each.roleId === roleId) ?? [];
  if (role !== undefined && secretId === "") {
    return { reply: refuse(400, "missing secret_id") };
  }
  const known = role?.secretIds.get(secretId);
  if (name === undefined || role === undefined || known === undefined || known.expiresAtMs <= nowMs) {
    return { reply: refuse(400, "invalid role or secret ID") };
  }
  if (known.usesLeft !== undefined) {
    known.usesLeft -= 1;
    if (known.usesLeft === 0) {
      role.secretIds.delete(secretId);
    }
  }
  return { login: { role, displayName: "approle", meta: { role_name: name } } };
}
