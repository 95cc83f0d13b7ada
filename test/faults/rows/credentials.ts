/** Token, policy and JWT. */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { textAt } from "../../fakes/openbao/json-at.ts";
import { identityClaims } from "../../fakes/openbao/jwt-issuer.ts";
import { leastPrivilegePolicy } from "../../fakes/openbao/provision.ts";
import { isJsonObject } from "../../fakes/openbao/reply.ts";
import { ANY, type Fault, FINE, OUT } from "../fault.ts";
import type { World } from "../world.ts";

const FIVE_MINUTES_MS = 300_000;
const HOUR_S = 3600;

/** The JWT file becomes something else, and the token is revoked so that it is needed. */
const withJwt = (
  id: string,
  title: string,
  write: (world: World) => void,
  more: Partial<Fault> = {},
): Fault => ({
  id,
  title,
  agedToken: true,
  expect: OUT,
  cause: async (world) => {
    write(world);
    await world.revokeToken();
    return () => world.provider.writeJwt();
  },
  ...more,
});

/** Issued at another time than now, valid for an hour from then. */
const issuedAt =
  (offsetMs: number, lifetimeSeconds = HOUR_S) =>
  ({ provider, issuer, names }: World): void =>
    provider.writeJwt(issuer.sign(identityClaims(names, Date.now() + offsetMs, lifetimeSeconds)));

const setPolicy = ({ names, post }: World, policy: string): Promise<unknown> =>
  post(`sys/policies/acl/${names.policyName}`, { policy });

const withPolicy = (change: (policy: string) => string) => async (world: World) => {
  const path = `sys/policies/acl/${world.names.policyName}`;
  const policy = textAt(await world.openbao.operator.must("GET", path), "data", "policy");
  await setPolicy(world, change(policy));
  return () => setPolicy(world, policy);
};

const withTokens = async ({ names, post, openbao }: World, ttl: string, maxTtl: string): Promise<void> => {
  const path = `auth/${names.jwtMount}/role/${names.role}`;
  const { body } = await openbao.operator.call("GET", path);
  const role = body["data"];
  if (role === undefined || !isJsonObject(role)) {
    throw new TypeError("the role has no data");
  }
  await post(path, { ...role, token_ttl: ttl, token_max_ttl: maxTtl });
};

export const credentials: readonly Fault[] = [
  {
    id: "token-revoked",
    agedToken: true,
    title: "Token revoked: one new login, no failed call",
    expect: FINE,
    cause: (world) => world.revokeToken(),
  },
  {
    id: "token-max-ttl",
    agedToken: true,
    title: "Tokens of 6 s that end for good at 9 s: new logins in time",
    expect: { ...ANY, status: "ok" },
    shortMs: 12_000,
    lastsMs: 30_000,
    cause: async (world) => {
      await withTokens(world, "6s", "9s");
      await world.revokeToken();
      return () => withTokens(world, world.names.tokenTtl, world.names.tokenMaxTtl);
    },
  },
  {
    id: "policy-without-transit",
    title: "Policy shrunk to nothing of Transit, and given back",
    expect: OUT,
    lastsMs: 10_000,
    cause: withPolicy(() => 'path "auth/token/renew-self" { capabilities = ["update"] }\n'),
  },
  {
    id: "policy-without-decrypt",
    title: "Policy without decrypt, and given back",
    expect: OUT,
    lastsMs: 10_000,
    cause: async (world) => {
      const policy = leastPrivilegePolicy(world.names);
      await setPolicy(world, policy.replace(/^path "[^"]*\/decrypt\/.*\n/m, ""));
      return () => setPolicy(world, policy);
    },
  },
  withJwt("jwt-expired", "JWT expired when the token goes, and renewed", issuedAt(-2 * HOUR_S * 1000)),
  withJwt(
    "jwt-torn",
    "JWT file torn in the middle when the token goes, and made whole",
    ({ provider, issuer, names }) => {
      const jwt = issuer.sign(identityClaims(names, Date.now()));
      provider.writeJwt(jwt.slice(0, jwt.length / 2));
    },
  ),
  withJwt(
    "jwt-empty",
    "JWT file empty when the token goes",
    ({ provider }) => writeFileSync(join(provider.dir, "identity.jwt"), ""),
    { long: true },
  ),
  withJwt(
    "jwt-missing",
    "JWT file missing when the token goes",
    ({ provider }) => rmSync(join(provider.dir, "identity.jwt")),
    { lastsMs: 20_000 },
  ),
  withJwt(
    "jwt-clock-ahead",
    "Issuer's clock 5 minutes ahead: refused until it is right",
    issuedAt(FIVE_MINUTES_MS),
  ),
  withJwt(
    "jwt-clock-behind",
    "Issuer's clock 5 minutes behind, JWTs of an hour: nothing happens",
    issuedAt(-FIVE_MINUTES_MS),
    { expect: FINE },
  ),
];
