/** @module Login with a role id and a secret id (openbao.org/api-docs/auth/approle), and how long the secret id is still good. */
import * as v from "valibot";
import { Secret } from "../../base/secret.ts";
import { OpenBaoError } from "../client/errors.ts";
import { AuthError } from "./errors.ts";
import type { CredentialState, Inspection, LoginMethod } from "./login-method.ts";
import { readSecretFile } from "./secret-file.ts";

interface AppRoleMethodOptions {
  readonly mountPath: string;
  readonly roleId:
    | { readonly kind: "value"; readonly value: string }
    | { readonly kind: "file"; readonly file: string };
  readonly secretIdFile: string;
  readonly serviceUid: number;
}

/** OpenBao lets an operator choose ids of up to 4096 bytes; its own have 36. */
const MAX_ID_BYTES = 4096;
const SECRET_ID_FIELD = "auth.approle.secretIdFile";

/** What `-wrap-ttl` gives instead of a secret id. */
const TOKEN = /^(?:s|b|r|hvs|hvb|hvr)\.[A-Za-z0-9_-]{20,}$/;

export function approleLoginMethod({
  mountPath,
  roleId,
  secretIdFile,
  serviceUid,
}: AppRoleMethodOptions): LoginMethod {
  const read = (path: string, field: string, what: string): Promise<Secret> =>
    readSecretFile(path, { field, what, maxBytes: MAX_ID_BYTES, serviceUid });
  const freshRoleId = async (): Promise<string> =>
    roleId.kind === "value"
      ? roleId.value
      : (await read(roleId.file, "auth.approle.roleIdFile", "the role id")).expose();

  const freshSecretId = async (): Promise<Secret> => {
    const secretId = await read(secretIdFile, SECRET_ID_FIELD, "the secret id");
    if (TOKEN.test(secretId.expose())) {
      throw new AuthError({
        code: "secret_id_wrapped",
        errorClass: "auth_failed",
        message: `${SECRET_ID_FIELD}: ${secretIdFile} contains a token, perhaps of a wrapped secret id, instead of a secret id`,
        advice: "unwrap it once, as root, with: bao-kms-provider unwrap-secret-id",
      });
    }
    return secretId;
  };

  return {
    name: "approle",
    operation: "approle_login",
    mountPath,
    // A secret id may have a use count, and a login whose answer was lost has used it.
    repeatable: false,
    prepare: async () => {
      const secretId = await freshSecretId();
      return {
        body: new Secret(JSON.stringify({ role_id: await freshRoleId(), secret_id: secretId.expose() })),
      };
    },
    inspect: async (inspection) => lookUpSecretId(inspection, mountPath, await freshSecretId(), secretIdFile),
  };
}

const lookup = v.object({
  secret_id_num_uses: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  secret_id_ttl: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  expiration_time: v.pipe(v.string(), v.isoTimestamp()),
});

/** @throws AuthError `secret_id_gone` when OpenBao knows the role, but not this secret id. */
async function lookUpSecretId(
  { openbao, token, signal }: Inspection,
  mountPath: string,
  secretId: Secret,
  path: string,
): Promise<CredentialState> {
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
