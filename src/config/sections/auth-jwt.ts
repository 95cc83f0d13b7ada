/** @module `auth.jwt`: login with a JWT, from a file, an OAuth2 server or a SPIFFE workload API. */
import * as v from "valibot";
import { assertNever } from "../../base/assert-never.ts";
import { httpsUrl } from "../address-types.ts";
import {
  absolutePath,
  authMount,
  durationOr,
  oneOf,
  plainText,
  refuseField,
  socketPath,
  textKind,
  textList,
} from "../field-types.ts";

const oauth2Section = v.strictObject({
  tokenUrl: httpsUrl("The token endpoint of the authorization server (RFC 6749, client credentials grant).", {
    example: "https://issuer.example/oauth2/token",
    path: true,
  }),
  clientId: plainText("The client identifier.", { example: "openbao-kms", maxBytes: 1024, required: true }),
  clientSecretFile: absolutePath("File with the client secret; read again before each token request.", {
    example: "/etc/openbao-kms/oauth2/client-secret",
  }),
  authMethod: v.optional(
    oneOf("How the client authenticates (RFC 6749, section 2.3.1).", [
      "client_secret_basic",
      "client_secret_post",
    ]),
    "client_secret_basic",
  ),
  scopes: v.optional(textList("Scopes to ask for.", { maxItems: 32, maxBytes: 256 }), () => []),
  audience: v.optional(
    plainText("The `audience` parameter, for servers that know it. Empty to leave it out.", {
      maxBytes: 1024,
    }),
    "",
  ),
  resources: v.optional(
    textList("Resource indicators (RFC 8707).", { maxItems: 16, maxBytes: 1024 }),
    () => [],
  ),
  caCertFile: absolutePath("PEM file of the CAs that the token endpoint's certificate is verified against.", {
    example: "/etc/openbao-kms/oauth2/ca.crt",
  }),
});

const spiffeSection = v.strictObject({
  socketPath: socketPath("The Unix socket of the SPIFFE Workload API.", {
    example: "/run/spire/agent/public/api.sock",
  }),
  audience: plainText("The audience of the JWT-SVID.", {
    example: "openbao",
    maxBytes: 1024,
    required: true,
  }),
  spiffeId: v.pipe(
    textKind(
      "The one SPIFFE ID that is accepted from the Workload API.",
      "a SPIFFE ID such as spiffe://trust-domain/path",
      { example: "spiffe://example.org/openbao-kms" },
    ),
    v.check(
      (id) => id.length <= 2048 && /^spiffe:\/\/[a-z0-9._-]{1,255}(?:\/[A-Za-z0-9._-]+)+$/.test(id),
      "is not a SPIFFE ID with a path",
    ),
  ),
});

export const jwtSection = v.pipe(
  v.strictObject({
    source: v.optional(oneOf("Where the JWT comes from.", ["file", "oauth2", "spiffe"]), "file"),
    mountPath: authMount("JWT", "auth/jwt"),
    role: plainText("The role to log in to.", { example: "openbao-kms", maxBytes: 256, required: true }),
    jwtFile: v.optional(
      absolutePath("Source file: the JWT. Read again before each login.", {
        example: "/var/lib/openbao-kms/identity.jwt",
      }),
    ),
    minRemainingTtl: durationOr(
      "2m",
      { minMs: 0, maxMs: 24 * 3_600_000 },
      "A JWT that expires sooner than this is not used for a login.",
    ),
    clockSkewLeeway: durationOr(
      "30s",
      { minMs: 0, maxMs: 600_000 },
      "How far the clocks of the issuer and of this machine may be apart.",
    ),
    expectedIssuer: v.optional(plainText("When set, the JWT's `iss` must be this.", { maxBytes: 1024 }), ""),
    expectedAudience: v.optional(
      textList("When not empty, the JWT's `aud` must name one of these.", { maxItems: 16, maxBytes: 1024 }),
      () => [],
    ),
    expectedSubject: v.optional(plainText("When set, the JWT's `sub` must be this.", { maxBytes: 1024 }), ""),
    oauth2: v.optional(oauth2Section),
    spiffe: v.optional(spiffeSection),
  }),
  v.rawTransform((context) => {
    const { value } = context.dataset;
    const { source, jwtFile, oauth2, spiffe, ...common } = value;
    switch (source) {
      case "file":
        return jwtFile === undefined
          ? refuseField(context, "jwtFile")
          : { ...common, credential: { source, jwtFile } };
      case "oauth2":
        return oauth2 === undefined
          ? refuseField(context, "oauth2")
          : { ...common, credential: { source, ...oauth2 } };
      case "spiffe":
        return spiffe === undefined
          ? refuseField(context, "spiffe")
          : { ...common, credential: { source, ...spiffe } };
      default:
        return assertNever(source);
    }
  }),
);
