/** @module `auth.approle`: login with a role id and a secret id. */
import * as v from "valibot";
import { absolutePath, apiPath, plainText } from "../field-types.ts";
import { refuseField } from "../refuse-field.ts";

type RoleIdSource =
  | { readonly kind: "value"; readonly value: string }
  | { readonly kind: "file"; readonly file: string };

export const approleSection = v.pipe(
  v.strictObject({
    mountPath: apiPath(
      {
        description: "The mount of the AppRole auth method, with its `auth/` prefix.",
        example: "auth/approle",
      },
      "auth/",
    ),
    roleId: v.optional(
      plainText(
        { description: "The role id. Give exactly one of `roleId` and `roleIdFile`." },
        { maxBytes: 256, required: true },
      ),
    ),
    roleIdFile: v.optional(
      absolutePath({
        description: "File with the role id; read again before each login.",
        example: "/etc/openbao-kms/approle/role-id",
      }),
    ),
    secretIdFile: absolutePath({
      description: "File with the secret id; read again before each login.",
      example: "/var/lib/openbao-kms/approle/secret-id",
    }),
  }),
  v.rawTransform((context) => {
    const { value } = context.dataset;
    const { roleId, roleIdFile, ...common } = value;
    if (roleId !== undefined && roleIdFile !== undefined) {
      return refuseField(
        context,
        value,
        "roleIdFile",
        "is given as well as auth.approle.roleId; remove one of the two",
      );
    }
    const source: RoleIdSource | undefined =
      roleId !== undefined
        ? { kind: "value", value: roleId }
        : roleIdFile !== undefined
          ? { kind: "file", file: roleIdFile }
          : undefined;
    return source === undefined ? refuseField(context, value, "roleIdFile") : { ...common, roleId: source };
  }),
);
