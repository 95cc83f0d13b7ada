/** @module Login with a signed JWT, and with a wrapped secret id of AppRole. A part of openbao.contract.test.ts. */
import { beforeAll, describe, expect, test } from "bun:test";
import { objectAt, textAt } from "../fakes/openbao/json-at.ts";
import { identityClaims, makeJwtIssuer } from "../fakes/openbao/jwt-issuer.ts";
import { type OperatorReply } from "../fakes/openbao/operator.ts";
import { type JsonObject } from "../fakes/openbao/reply.ts";
import { type ContractContext, nowSeconds, refused } from "./contract-context.ts";

export function jwtLoginContract(context: ContractContext): void {
  const { call, jwt, logIn, must } = context;

  describe("JWT login", () => {
    test("a good one", async () => {
      const { status, body } = await logIn(context.names.role);
      expect(status).toBe(200);
      expect(objectAt(body, "auth")).toMatchObject({
        client_token: expect.stringMatching(/^s\./),
        lease_duration: 1200,
        renewable: true,
        token_type: "service",
        num_uses: 0,
        policies: ["kms-provider"],
        metadata: { role: "kms-provider" },
        orphan: true,
      });
    });
    test.each<[string, JsonObject, string | undefined]>([
      ["audience among others", { aud: ["x", "openbao"] }, undefined],
      ["a little expired", { exp: nowSeconds() - 10 }, undefined],
      [
        "another audience",
        { aud: "x" },
        "error validating token: invalid audience (aud) claim: audience claim does not match any expected audience",
      ],
      ["another subject", { sub: "x" }, "error validating token: invalid subject (sub) claim"],
      [
        "long expired",
        { iat: nowSeconds() - 2000, nbf: nowSeconds() - 2000, exp: nowSeconds() - 1000 },
        "error validating token: invalid expiration time (exp) claim: token is expired",
      ],
      [
        "not yet valid",
        { nbf: nowSeconds() + 1000, exp: nowSeconds() + 2000 },
        "error validating token: invalid not before (nbf) claim: token not yet valid",
      ],
      [
        "issued in the future",
        { iat: nowSeconds() + 1000, exp: nowSeconds() + 2000 },
        "error validating token: invalid issued at (iat) claim: token issued in the future",
      ],
    ])("%s", async (_, claims, error) => {
      const reply = await logIn(context.names.role, jwt(claims));
      expect([reply.status, reply.body["errors"]]).toEqual(
        error === undefined ? [200, undefined] : [400, [error]],
      );
    });
    test.each<[string, () => JsonObject, string]>([
      ["no role", () => ({ jwt: jwt() }), "missing role"],
      ["no token", () => ({ role: context.names.role }), "missing token"],
      [
        "unknown role",
        () => ({ role: "unknown-role", jwt: jwt() }),
        'role "unknown-role" could not be found',
      ],
      [
        "a foreign key",
        () => ({
          role: context.names.role,
          jwt: makeJwtIssuer().sign(identityClaims(context.names, Date.now())),
        }),
        "error validating token: error verifying token signature: no known key successfully validated the token signature",
      ],
      [
        "no JWT",
        () => ({ role: context.names.role, jwt: "garbage" }),
        "error validating token: error verifying token signature: go-jose/go-jose: compact JWS format must have three parts",
      ],
    ])("%s", async (_, body, error) => {
      await refused(call("POST", "auth/jwt/login", body(), { token: "" }), error);
    });
    test("an unknown mount", async () => {
      await refused(
        call("POST", "auth/nowhere/login", { role: context.names.role, jwt: jwt() }, { token: "" }),
        "permission denied",
        403,
      );
    });
    test("a missing bound issuer, then RS256 keys beside ES256", async () => {
      const rsa = makeJwtIssuer("RS256");
      const configure = (issuerName: string): Promise<unknown> =>
        must("POST", "auth/jwt/config", {
          jwt_validation_pubkeys: [context.issuer.publicKeyPem, rsa.publicKeyPem],
          bound_issuer: issuerName,
        });
      await configure("https://other.test");
      await refused(logIn(context.names.role), "error validating token: invalid issuer (iss) claim");
      await configure("");
      expect(
        (await logIn(context.names.role, rsa.sign(identityClaims(context.names, Date.now())))).status,
      ).toBe(200);
    });
  });
}

export function appRoleContract(context: ContractContext): void {
  const { call, must } = context;

  describe("wrapping and AppRole", () => {
    const wrapped = async (): Promise<string> => {
      const { body } = await call("POST", "auth/approle/role/wrapped/secret-id", {}, { wrapTtl: "60s" });
      return textAt(body, "wrap_info", "token");
    };
    beforeAll(async () => {
      await must("POST", "sys/auth/approle", { type: "approle" });
      await must("POST", "auth/approle/role/wrapped", {
        token_policies: [context.names.policyName],
        token_ttl: "20m",
        secret_id_num_uses: 1,
        secret_id_ttl: "10m",
      });
    });
    test("look up where a wrapping token comes from, unwrap once", async () => {
      const own = { token: await wrapped() };
      const { body } = await call("POST", "sys/wrapping/lookup", { token: own.token }, { token: "" });
      expect(objectAt(body, "data")).toMatchObject({
        creation_path: "auth/approle/role/wrapped/secret-id",
        creation_ttl: 60,
      });
      const secretId = objectAt((await call("POST", "sys/wrapping/unwrap", {}, own)).body, "data")[
        "secret_id"
      ];
      await refused(
        call("POST", "sys/wrapping/unwrap", {}, own),
        "wrapping token is not valid or does not exist",
      );

      const roleId = objectAt((await call("GET", "auth/approle/role/wrapped/role-id")).body, "data")[
        "role_id"
      ];
      const look = async (): Promise<OperatorReply> =>
        call("POST", "auth/approle/role/wrapped/secret-id/lookup", { secret_id: secretId ?? "" });
      const seen = await look();
      expect(objectAt(seen.body, "data")).toMatchObject({
        secret_id_num_uses: 1,
        secret_id_ttl: 600,
        expiration_time: expect.stringMatching(/^20\d\d-/),
      });
      const login = (credential: JsonObject): Promise<OperatorReply> =>
        call("POST", "auth/approle/login", credential, { token: "" });
      const credentials = { role_id: roleId ?? "", secret_id: secretId ?? "" };
      const good = await login(credentials);
      expect(good.status).toBe(200);
      expect(objectAt(good.body, "auth")["metadata"]).toEqual({ role_name: "wrapped" });
      expect((await look()).status).toBe(204);
      await refused(login(credentials), "invalid role or secret ID");
      await refused(login({ role_id: roleId ?? "" }), "missing secret_id");
    });
    test.each([
      ["unknown", { token: "x" }, 400, "wrapping token is not valid or does not exist"],
      ["none", {}, 403, "error validating wrapping token: token is empty"],
    ])("%s wrapping token", async (_, body, status, error) => {
      await refused(call("POST", "sys/wrapping/lookup", body, { token: "" }), error, status);
    });
  });
}
