/**
 * Login with a signed JWT.
 *
 * @module A part of openbao-contract.ts.
 */
import { describe, expect, test } from "bun:test";
import { objectAt } from "../fakes/openbao/json-at.ts";
import { identityClaims, makeJwtIssuer } from "../fakes/openbao/jwt-issuer.ts";
import type { JsonObject } from "../fakes/openbao/reply.ts";
import { type ContractContext, nowSeconds } from "./contract-context.ts";

export function jwtLoginContract(context: ContractContext): void {
  const { call, errorsOf, jwt, logIn } = context;

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
      expect([reply.status, errorsOf(reply)]).toEqual(
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
      const reply = await call("POST", "auth/jwt/login", body(), { token: "" });
      expect([reply.status, errorsOf(reply)]).toEqual([400, [error]]);
    });
    test("an unknown mount", async () => {
      const reply = await call(
        "POST",
        "auth/nowhere/login",
        { role: context.names.role, jwt: jwt() },
        { token: "" },
      );
      expect([reply.status, errorsOf(reply)]).toEqual([403, ["permission denied"]]);
    });
    test("a missing bound issuer, then RS256 keys beside ES256", async () => {
      const rsa = makeJwtIssuer("RS256");
      const configure = (issuerName: string): Promise<unknown> =>
        context.openbao.operator.must("POST", "auth/jwt/config", {
          jwt_validation_pubkeys: [context.issuer.publicKeyPem, rsa.publicKeyPem],
          bound_issuer: issuerName,
        });
      await configure("https://other.test");
      const reply = await logIn(context.names.role);
      expect(errorsOf(reply)).toEqual(["error validating token: invalid issuer (iss) claim"]);
      await configure("");
      expect(
        (await logIn(context.names.role, rsa.sign(identityClaims(context.names, Date.now())))).status,
      ).toBe(200);
    });
  });
}
