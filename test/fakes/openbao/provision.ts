/**
 * @module Sets an OpenBao up for one provider: Transit key with the required profile, least privilege, JWT login. Works alike
 * on the stand-in and on a real OpenBao. Who signs the JWTs: jwt-issuer.ts.
 */
import type { Operator } from "./operator.ts";
import type { JsonObject } from "./reply.ts";

export interface Provisioning {
  readonly namespace: string;
  readonly mount: string;
  readonly keyName: string;
  readonly jwtMount: string;
  readonly role: string;
  readonly audience: string;
  readonly subject: string;
  readonly policyName: string;
  readonly tokenTtl: string;
  readonly tokenMaxTtl: string;
}

export const DEFAULT_PROVISIONING: Provisioning = {
  namespace: "",
  mount: "transit",
  keyName: "kubernetes",
  jwtMount: "jwt",
  role: "kms-provider",
  audience: "openbao",
  subject: "control-plane-1",
  policyName: "kms-provider",
  tokenTtl: "20m",
  tokenMaxTtl: "1h",
};

/** What a provider needs and nothing else. */
export function leastPrivilegePolicy({ mount, keyName }: Pick<Provisioning, "mount" | "keyName">): string {
  const rules = [
    [`${mount}/keys/${keyName}`, "read"],
    [`${mount}/config/keys`, "read"],
    [`${mount}/encrypt/${keyName}`, "update"],
    [`${mount}/decrypt/${keyName}`, "update"],
    ["auth/token/renew-self", "update"],
    ["auth/token/lookup-self", "read"],
    ["auth/token/revoke-self", "update"],
    ["sys/capabilities-self", "update"],
  ] as const;
  return rules.map(([path, capability]) => `path "${path}" { capabilities = ["${capability}"] }\n`).join("");
}

/** Returns what was set up; `overrides` change single names. The namespace, when one is named, is made. */
export async function provision(
  operator: Operator,
  publicKeyPem: string,
  overrides: Partial<Provisioning> = {},
): Promise<Provisioning> {
  const wanted = { ...DEFAULT_PROVISIONING, ...overrides };
  const inNamespace = wanted.namespace === "" ? {} : { namespace: wanted.namespace };
  const post = (path: string, body: Parameters<Operator["must"]>[2]): Promise<unknown> =>
    operator.must("POST", path, body, inNamespace);
  if (wanted.namespace !== "") {
    await operator.must("POST", `sys/namespaces/${wanted.namespace}`, {});
  }
  await post(`sys/mounts/${wanted.mount}`, { type: "transit" });
  await post(`${wanted.mount}/config/keys`, { disable_upsert: true });
  await post(`${wanted.mount}/keys/${wanted.keyName}`, { type: "aes256-gcm96" });
  await post(`sys/policies/acl/${wanted.policyName}`, { policy: leastPrivilegePolicy(wanted) });
  await post(`sys/auth/${wanted.jwtMount}`, { type: "jwt" });
  await post(`auth/${wanted.jwtMount}/config`, { jwt_validation_pubkeys: [publicKeyPem] });
  await post(
    `auth/${wanted.jwtMount}/role/${wanted.role}`,
    jwtRole(wanted, {
      bound_subject: wanted.subject,
      token_no_default_policy: true,
      token_ttl: wanted.tokenTtl,
      token_max_ttl: wanted.tokenMaxTtl,
    }),
  );
  return wanted;
}

/** A role of a JWT mount; `more` sets more of its fields. */
export function jwtRole(
  { audience, policyName }: Pick<Provisioning, "audience" | "policyName">,
  more: JsonObject = {},
): JsonObject {
  return {
    role_type: "jwt",
    user_claim: "sub",
    bound_audiences: [audience],
    token_policies: [policyName],
    ...more,
  };
}

/** A JWT mount of another issuer, with the role `kms`. */
export async function provisionJwtLogin(
  operator: Operator,
  mount: string,
  keyPem: string,
  role: JsonObject,
): Promise<void> {
  await operator.must("POST", `sys/auth/${mount}`, { type: "jwt" });
  await operator.must("POST", `auth/${mount}/config`, { jwt_validation_pubkeys: [keyPem] });
  await operator.must("POST", `auth/${mount}/role/kms`, role);
}

/** A login with a certificate of this CA, under the name `kms` at auth/cert; `role` sets more of its fields. */
export async function provisionCertLogin(
  operator: Operator,
  { caPem, policyName }: { readonly caPem: string; readonly policyName: string },
  role: JsonObject = { token_ttl: "20m" },
): Promise<void> {
  await operator.must("POST", "sys/auth/cert", { type: "cert" });
  await operator.must("POST", "auth/cert/certs/kms", {
    certificate: caPem,
    token_policies: [policyName],
    ...role,
  });
}
