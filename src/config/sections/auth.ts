/** @module `auth`: how the provider gets its token; `auth.jwt` has a file of its own. */
import * as v from "valibot";
import { assertNever } from "../../base/assert-never.ts";
import {
  absolutePath,
  authMount,
  count,
  durationOr,
  namespacePath,
  oneOf,
  plainText,
  refuseField,
} from "../field-types.ts";
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

const pkcs11Section = v.strictObject({
  certificateFile: absolutePath(
    "PEM file of the certificate chain, leaf first. Read again before each login.",
    { example: "/etc/openbao-kms/client/client-chain.pem" },
  ),
  modulePath: absolutePath("The vendor's PKCS#11 module.", { example: "/usr/lib/softhsm/libsofthsm2.so" }),
  tokenLabel: plainText("The label of the token.", { example: "openbao-kms", maxBytes: 32, required: true }),
  keyLabel: plainText("The label of the private key in the token.", {
    example: "openbao-kms-client",
    maxBytes: 256,
    required: true,
  }),
  pinFile: absolutePath(
    "File with the token's user PIN. Read again before each login; a refused PIN is not tried twice.",
    { example: "/etc/openbao-kms/pkcs11/pin" },
  ),
  maxSessions: v.optional(count("The most sessions that may be open in the token.", { min: 2, max: 64 }), 2),
});

/** `auth.cert`: login with a client certificate whose key is in a PKCS#11 token or in a file. */
const certSection = v.pipe(
  v.strictObject({
    mountPath: authMount("certificate", "auth/cert"),
    name: v.optional(
      plainText("The certificate role to log in to. Empty lets OpenBao find it.", { maxBytes: 256 }),
      "",
    ),
    minRemainingTtl: durationOr(
      "24h",
      { minMs: 0, maxMs: 365 * 24 * 3_600_000 },
      "A certificate that expires sooner than this is reported and not used.",
    ),
    clockSkewLeeway: durationOr(
      "30s",
      { minMs: 0, maxMs: 600_000 },
      "How far the clocks of the CA and of this machine may be apart.",
    ),
    source: oneOf("Where the private key is.", ["pkcs11", "file"], { example: "pkcs11" }),
    pkcs11: v.optional(pkcs11Section),
    certificateFile: v.optional(
      absolutePath(
        "Source file: PEM file of the certificate chain, leaf first. Read again before each login.",
        { example: "/etc/openbao-kms/client/client-chain.pem" },
      ),
    ),
    privateKeyFile: v.optional(
      absolutePath(
        "Source file: PEM file of the private key, or the file of certificateFile when it has both. Read again before each login.",
        { example: "/etc/openbao-kms/client/client-key.pem" },
      ),
    ),
  }),
  v.rawTransform((context) => {
    const { value } = context.dataset;
    const { source, pkcs11, certificateFile, privateKeyFile, ...common } = value;
    switch (source) {
      case "pkcs11":
        return pkcs11 === undefined
          ? refuseField(context, "pkcs11")
          : { ...common, credential: { source, ...pkcs11 } };
      case "file":
        if (certificateFile === undefined || privateKeyFile === undefined) {
          return refuseField(context, certificateFile === undefined ? "certificateFile" : "privateKeyFile");
        }
        return { ...common, credential: { source, certificateFile, privateKeyFile } };
      default:
        return assertNever(source);
    }
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
