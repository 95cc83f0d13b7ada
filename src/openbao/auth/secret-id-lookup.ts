/**
 * @module How long a secret id is still good, and for how many logins.
 * @see https://openbao.org/api-docs/auth/approle/#read-approle-secret-id
 */
import * as v from "valibot";
import type { Secret } from "../../base/secret.ts";
import { OpenBaoError } from "../client/errors.ts";
import { AuthError } from "./errors.ts";
import type { CredentialState, Inspection } from "./login-method.ts";

export interface SecretIdQuestion extends Inspection {
  /** `auth/approle`. */
  readonly mountPath: string;
  readonly secretId: Secret;
  /** Where it was read from, for messages. */
  readonly path: string;
}

const lookup = v.object({
  secret_id_num_uses: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  secret_id_ttl: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  expiration_time: v.pipe(v.string(), v.isoTimestamp()),
});

/** @throws AuthError `secret_id_gone` when OpenBao knows the role, but not this secret id. */
export async function lookUpSecretId({
  openbao,
  token,
  signal,
  mountPath,
  secretId,
  path,
}: SecretIdQuestion): Promise<CredentialState> {
  if (token?.roleName === undefined) {
    return {};
  }
  try {
    const { data } = await openbao.call({
      operation: "approle_lookup",
      method: "POST",
      path: `${mountPath}/role/${token.roleName}/secret-id/lookup`,
      body: JSON.stringify({ secret_id: secretId.expose() }),
      token: token.secret,
      idempotent: true,
      signal,
    });
    if (data === undefined || data === null) {
      throw goneError(path, mountPath, token.roleName);
    }
    const parsed = v.safeParse(lookup, data);
    return parsed.success ? stateOf(parsed.output) : {};
  } catch (error) {
    if (error instanceof OpenBaoError) {
      // Denied, or OpenBao is not well, which others report.
      return {};
    }
    throw error;
  }
}

/** OpenBao writes 0 for what has no limit. */
function stateOf(found: v.InferOutput<typeof lookup>): CredentialState {
  return {
    ...(found.secret_id_ttl === 0 ? {} : { expiresAtMs: Date.parse(found.expiration_time) }),
    ...(found.secret_id_num_uses === 0 ? {} : { usesLeft: found.secret_id_num_uses }),
  };
}

function goneError(path: string, mountPath: string, roleName: string): AuthError {
  return new AuthError({
    code: "secret_id_gone",
    errorClass: "auth_expired",
    message: `auth.approle.secretIdFile: the secret id in ${path} is used up, has expired or was destroyed; the current token stays valid until it expires, and the next login fails`,
    advice: `install a new one now: bao write -wrap-ttl=5m -f ${mountPath}/role/${roleName}/secret-id, then on this node, as root: bao-kms-provider unwrap-secret-id --role ${roleName}`,
  });
}
