/** @module `auth`: how the provider gets its token. */
import * as v from "valibot";
import { assertNever } from "../../base/assert-never.ts";
import { durationOr, namespacePath, oneOf } from "../field-types.ts";
import { refuseField } from "../refuse-field.ts";
import { approleSection } from "./auth-approle.ts";
import { certSection } from "./auth-cert.ts";
import { jwtSection } from "./auth-jwt.ts";

export const authSection = v.pipe(
  v.strictObject({
    method: v.optional(oneOf({ description: "The auth method." }, ["jwt", "cert", "approle"]), "jwt"),
    namespace: v.optional(
      namespacePath({
        description:
          "The OpenBao namespace of the auth mount. Empty for the root namespace; openbao.namespace when it is left out.",
        example: "infra",
      }),
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
        return jwt === undefined ? refuseField(context, value, "jwt") : { ...common, method, jwt };
      case "cert":
        return cert === undefined ? refuseField(context, value, "cert") : { ...common, method, cert };
      case "approle":
        return approle === undefined
          ? refuseField(context, value, "approle")
          : { ...common, method, approle };
      default:
        return assertNever(method);
    }
  }),
);
