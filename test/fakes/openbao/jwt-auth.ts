/**
 * @module JWT login with static public keys. Configuration, roles and login of one `auth/jwt` mount; signatures are verified
 * for real.
 */
import { createPublicKey, type VerifyKeyObjectInput, verify } from "node:crypto";
import { listField, textField } from "./fields.ts";
import {
  type JsonObject,
  noContent,
  type Reply,
  refuse,
  unsupportedOperation,
  unsupportedPath,
} from "./reply.ts";
import type { JwtMount, JwtRole, TokenParameters } from "./state.ts";
import { tokenParameters } from "./token-parameters.ts";

/** What a successful login hands to the token store. */
interface Login {
  readonly role: TokenParameters;
  readonly displayName: string;
  readonly meta: Readonly<Record<string, string>>;
}

export type LoginResult = { readonly login: Login } | { readonly reply: Reply };

/** OpenBao's own tolerance for clocks, in seconds. */
const CLOCK_SKEW_SECONDS = 60;
const DEFAULT_LEEWAY_SECONDS = 150;

const ALGORITHMS: Readonly<Record<string, Partial<VerifyKeyObjectInput>>> = {
  ES256: { dsaEncoding: "ieee-p1363" },
  RS256: {},
};

export function jwtMountReply(mount: JwtMount, method: string, path: string, body: JsonObject): Reply {
  if (path === "config") {
    return method === "POST" ? configure(mount, body) : unsupportedOperation;
  }
  const roleName = /^role\/([^/]+)$/.exec(path)?.[1];
  if (roleName === undefined) {
    return unsupportedPath;
  }
  return method === "POST" ? writeRole(mount, roleName, body) : unsupportedOperation;
}

function configure(mount: JwtMount, body: JsonObject): Reply {
  const publicKeysPem = listField(body, "jwt_validation_pubkeys");
  try {
    for (const pem of publicKeysPem) {
      createPublicKey(pem);
    }
  } catch {
    return refuse(400, "error parsing public key: data does not contain any valid public keys");
  }
  mount.config = { publicKeysPem, boundIssuer: textField(body, "bound_issuer") };
  return noContent;
}

function writeRole(mount: JwtMount, name: string, body: JsonObject): Reply {
  const role: JwtRole = {
    ...tokenParameters(body),
    userClaim: textField(body, "user_claim"),
    boundAudiences: listField(body, "bound_audiences"),
    boundSubject: textField(body, "bound_subject"),
  };
  if (role.boundAudiences.length === 0 && role.boundSubject === "") {
    return refuse(400, "must have at least one bound constraint when creating/updating a role");
  }
  mount.roles.set(name, role);
  return noContent;
}

export function jwtLogin(mount: JwtMount, body: JsonObject, nowMs: number): LoginResult {
  const refused = (text: string): LoginResult => ({ reply: refuse(400, text) });
  const roleName = textField(body, "role");
  const jwt = textField(body, "jwt");
  if (mount.config === undefined) {
    return refused("could not load configuration");
  }
  if (roleName === "") {
    return refused("missing role");
  }
  const role = mount.roles.get(roleName);
  if (role === undefined) {
    return refused(`role ${JSON.stringify(roleName)} could not be found`);
  }
  if (jwt === "") {
    return refused("missing token");
  }
  const verified = verifiedClaims(jwt, mount.config.publicKeysPem);
  if ("problem" in verified) {
    return refused(`error validating token: error verifying token signature: ${verified.problem}`);
  }
  const { claims } = verified;
  const problem = claimProblem(claims, role, mount.config.boundIssuer, Math.floor(nowMs / 1000));
  if (problem !== undefined) {
    return refused(`error validating token: ${problem}`);
  }
  const user = claims[role.userClaim];
  if (typeof user !== "string") {
    return refused(`claim ${JSON.stringify(role.userClaim)} not found in token`);
  }
  return { login: { role, displayName: user, meta: { role: roleName } } };
}

type Claims = Readonly<Record<string, unknown>>;

function verifiedClaims(
  jwt: string,
  publicKeysPem: readonly string[],
): { readonly claims: Claims } | { readonly problem: string } {
  const parts = jwt.split(".");
  const [head, payload, signature] = parts;
  if (parts.length !== 3 || head === undefined || payload === undefined || signature === undefined) {
    return { problem: "go-jose/go-jose: compact JWS format must have three parts" };
  }
  const header = jsonPart(head);
  const claims = jsonPart(payload);
  if (header === undefined || claims === undefined) {
    return { problem: "illegal base64 data at input byte 0" };
  }
  const options = ALGORITHMS[String(header["alg"])];
  const matches = (pem: string): boolean => {
    try {
      return (
        options !== undefined &&
        verify(
          "sha256",
          Buffer.from(`${head}.${payload}`),
          { key: createPublicKey(pem), ...options },
          Buffer.from(signature, "base64url"),
        )
      );
    } catch {
      return false;
    }
  };
  return publicKeysPem.some(matches)
    ? { claims }
    : { problem: "no known key successfully validated the token signature" };
}

function jsonPart(part: string): Claims | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, "base64url").toString());
    return typeof value === "object" && value !== null
      ? Object.fromEntries(Object.entries(value))
      : undefined;
  } catch {
    return undefined;
  }
}

function claimProblem(claims: Claims, role: JwtRole, boundIssuer: string, now: number): string | undefined {
  const time = (name: string): number => (typeof claims[name] === "number" ? claims[name] : 0);
  const [iat, nbf, exp] = [time("iat"), time("nbf"), time("exp")];
  if (iat === 0 && nbf === 0 && exp === 0) {
    return "no issued at (iat), not before (nbf), or expiration time (exp) claims in token";
  }
  if (boundIssuer !== "" && claims["iss"] !== boundIssuer) {
    return "invalid issuer (iss) claim";
  }
  if (role.boundSubject !== "" && claims["sub"] !== role.boundSubject) {
    return "invalid subject (sub) claim";
  }
  const audience = new Set([claims["aud"]].flat());
  if (role.boundAudiences.length > 0 && !role.boundAudiences.some((each) => audience.has(each))) {
    return "invalid audience (aud) claim: audience claim does not match any expected audience";
  }
  const end = exp === 0 ? Math.max(iat, nbf) + DEFAULT_LEEWAY_SECONDS : exp;
  const begin = nbf === 0 ? (iat === 0 ? exp - DEFAULT_LEEWAY_SECONDS : iat) : nbf;
  if (begin - CLOCK_SKEW_SECONDS > now) {
    return "invalid not before (nbf) claim: token not yet valid";
  }
  if (end + CLOCK_SKEW_SECONDS < now) {
    return "invalid expiration time (exp) claim: token is expired";
  }
  return iat - CLOCK_SKEW_SECONDS > now
    ? "invalid issued at (iat) claim: token issued in the future"
    : undefined;
}
