/**
 * @module Login with a role id and a secret id.
 * @see https://openbao.org/api-docs/auth/approle/#login-with-approle
 */
import { Secret } from "../../base/secret.ts";
import { AuthError } from "./errors.ts";
import type { LoginMethod } from "./login-method.ts";
import { readSecretFile } from "./secret-file.ts";
import { lookUpSecretId } from "./secret-id-lookup.ts";

export type RoleIdSource =
  | { readonly kind: "value"; readonly value: string }
  | { readonly kind: "file"; readonly file: string };

export interface AppRoleMethodOptions {
  readonly mountPath: string;
  readonly roleId: RoleIdSource;
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
  const roleIdOf = async (): Promise<string> =>
    roleId.kind === "value"
      ? roleId.value
      : (
          await readSecretFile({
            path: roleId.file,
            field: "auth.approle.roleIdFile",
            what: "the role id",
            maxBytes: MAX_ID_BYTES,
            serviceUid,
          })
        ).expose();

  const freshSecretId = async (): Promise<Secret> => {
    const secretId = await readSecretFile({
      path: secretIdFile,
      field: SECRET_ID_FIELD,
      what: "the secret id",
      maxBytes: MAX_ID_BYTES,
      serviceUid,
    });
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
        body: new Secret(JSON.stringify({ role_id: await roleIdOf(), secret_id: secretId.expose() })),
      };
    },
    inspect: async (inspection) =>
      lookUpSecretId({ ...inspection, mountPath, secretId: await freshSecretId(), path: secretIdFile }),
  };
}
