/**
 * @module An issuer of JWTs with one key, as an identity provider outside the cluster would be. Signs any claims, also those
 * that no good issuer would sign.
 */
import { generateKeyPairSync, sign } from "node:crypto";

export function makeJwtIssuer(algorithm: "ES256" | "RS256" = "ES256") {
  const { publicKey, privateKey } =
    algorithm === "ES256"
      ? generateKeyPairSync("ec", { namedCurve: "P-256" })
      : generateKeyPairSync("rsa", { modulusLength: 2048 });
  const part = (value: Readonly<Record<string, unknown>>): string =>
    Buffer.from(JSON.stringify(value)).toString("base64url");
  return {
    publicKeyPem: publicKey.export({ type: "spki", format: "pem" }),
    /** A signed JWT; `header` overrides fields of its header. */
    sign: (claims: Readonly<Record<string, unknown>>, header: Readonly<Record<string, unknown>> = {}) => {
      const input = `${part({ alg: algorithm, typ: "JWT", ...header })}.${part(claims)}`;
      const signature = sign("sha256", Buffer.from(input), { key: privateKey, dsaEncoding: "ieee-p1363" });
      return `${input}.${signature.toString("base64url")}`;
    },
  };
}

export type JwtIssuer = ReturnType<typeof makeJwtIssuer>;

/** Claims of a good identity; times in Unix seconds. */
export function identityClaims(
  { audience, subject }: { readonly audience: string; readonly subject: string },
  nowMs: number,
  lifetimeSeconds = 3600,
): Readonly<Record<string, unknown>> {
  const now = Math.floor(nowMs / 1000);
  return {
    iss: "https://issuer.test",
    aud: audience,
    sub: subject,
    iat: now,
    nbf: now,
    exp: now + lifetimeSeconds,
  };
}
