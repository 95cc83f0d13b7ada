/** @module `auth`: how the provider gets its token. */
import * as v from "valibot";
import { assertNever } from "../../base/assert-never.ts";
import {
  absolutePath,
  authMount,
  durationOr,
  namespacePath,
  oneOf,
  plainText,
  refuseField,
} from "../field-types.ts";
import { certSection } from "./auth-cert.ts";
import { jwtSection } from "./auth-jwt.ts";

type RoleIdSource =
  | { readonly kind: "value"; readonly value: string }
  | { readonly kind: "file"; readonly file: string };

/** `auth.approle`: login with a role id and a secret id. */
const approleSection = v.pipe(
  v.strictObject({
    mountPath: authMount("AppRole", "auth/approle"),
    roleId: v.optional(
      plainText("The role id. Give exactly one of `roleId` and `roleIdFile`.", {
        maxBytes: 256,
        required: true,
      }),
    ),
    roleIdFile: v.optional(
      absolutePath("File with the role id; read again before each login.", {
        example: "/etc/openbao-kms/approle/role-id",
      }),
    ),
    secretIdFile: absolutePath("File with the secret id; read again before each login.", {
      example: "/var/lib/openbao-kms/approle/secret-id",
    }),
  }),
  v.rawTransform((context) => {
    const { value } = context.dataset;
    const { roleId, roleIdFile, ...common } = value;
    if (roleId !== undefined && roleIdFile !== undefined) {
      return refuseField(
        context,
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
    return source === undefined ? refuseField(context, "roleIdFile") : { ...common, roleId: source };
  }),
);

export const authSection = v.pipe(
  v.strictObject({
    method: v.optional(oneOf("The auth method.", ["jwt", "cert", "approle"]), "jwt"),
    namespace: v.optional(
      namespacePath(
        "The OpenBao namespace of the auth mount. Empty for the root namespace; openbao.namespace when it is left out.",
        { example: "infra" },
      ),
    ),
    loginBeforeTokenExpiry: durationOr(
      "5m",
      { minMs: 1000, maxMs: 24 * 3_600_000 },
      "A token that cannot be renewed further is replaced this long before it expires.",
    ),
    tokenRenewalIncrement: durationOr(
      "1h",
      { minMs: 2000, maxMs: 30 * 24 * 3_600_000 },
      "The lifetime that each renewal asks for; longer than loginBeforeTokenExpiry.",
    ),
    loginTimeout: durationOr(
      "0s",
      { minMs: 0, maxMs: 120_000 },
      "How long a login may take; 0s means the longer of openbao.timeout and 5s.",
    ),
    jwt: v.optional(jwtSection),
    cert: v.optional(certSection),
    approle: v.optional(approleSection),
  }),
  v.rawTransform((context) => {
    const { value } = context.dataset;
    const { method, jwt, cert, approle, ...common } = value;
    switch (method) {
      case "jwt":
        return jwt === undefined ? refuseField(context, "jwt") : { ...common, method, jwt };
      case "cert":
        return cert === undefined ? refuseField(context, "cert") : { ...common, method, cert };
      case "approle":
        return approle === undefined ? refuseField(context, "approle") : { ...common, method, approle };
      default:
        return assertNever(method);
    }
  }),
);
