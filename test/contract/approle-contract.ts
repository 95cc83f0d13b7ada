/**
 * Wrapped secret ids and AppRole login.
 *
 * @module A part of openbao-contract.ts.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { objectAt, textAt } from "../fakes/openbao/json-at.ts";
import type { OperatorReply } from "../fakes/openbao/operator.ts";
import type { JsonObject } from "../fakes/openbao/reply.ts";
import { type ContractContext } from "./contract-context.ts";

export function appRoleContract(context: ContractContext): void {
  const { call, errorsOf } = context;

  describe("wrapping and AppRole", () => {
    const wrapped = async (): Promise<string> => {
      const { body } = await call("POST", "auth/approle/role/wrapped/secret-id", {}, { wrapTtl: "60s" });
      return textAt(body, "wrap_info", "token");
    };
    beforeAll(async () => {
      await context.openbao.operator.must("POST", "sys/auth/approle", { type: "approle" });
      await context.openbao.operator.must("POST", "auth/approle/role/wrapped", {
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
      const again = await call("POST", "sys/wrapping/unwrap", {}, own);
      expect([again.status, errorsOf(again)]).toEqual([
        400,
        ["wrapping token is not valid or does not exist"],
      ]);

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
      const spent = await login(credentials);
      expect([spent.status, errorsOf(spent)]).toEqual([400, ["invalid role or secret ID"]]);
      expect(errorsOf(await login({ role_id: roleId ?? "" }))).toEqual(["missing secret_id"]);
    });
    test.each([
      ["unknown", { token: "x" }, 400, "wrapping token is not valid or does not exist"],
      ["none", {}, 403, "error validating wrapping token: token is empty"],
    ])("%s wrapping token", async (_, body, status, error) => {
      const reply = await call("POST", "sys/wrapping/lookup", body, { token: "" });
      expect([reply.status, errorsOf(reply)]).toEqual([status, [error]]);
    });
  });
}
