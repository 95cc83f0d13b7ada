/**
 * Namespaces.
 *
 * @module A part of openbao-contract.ts.
 */
import { describe, expect, test } from "bun:test";
import { textAt } from "../fakes/openbao/json-at.ts";
import type { CallOptions } from "../fakes/openbao/operator.ts";
import { provision } from "../fakes/openbao/provision.ts";
import { type ContractContext } from "./contract-context.ts";

export function namespacesContract(context: ContractContext): void {
  const { call, errorsOf, jwt } = context;

  describe("namespaces", () => {
    test("a key of one namespace is not that of another", async () => {
      const inTeam = { namespace: "team" };
      await provision(context.openbao.operator, context.issuer.publicKeyPem, { namespace: "team" });
      const { body } = await call(
        "POST",
        "auth/jwt/login",
        { role: context.names.role, jwt: jwt() },
        { ...inTeam, token: "" },
      );
      const own = textAt(body, "auth", "client_token");
      const read = async (options: CallOptions): Promise<number> =>
        (await call("GET", "transit/keys/kubernetes", undefined, options)).status;
      expect(await read({ ...inTeam, token: own })).toBe(200);
      expect(await read({ namespace: "team/", token: own })).toBe(200);
      expect(await read({ token: own })).toBe(403);
      expect(await read({ ...inTeam, token: context.token })).toBe(403);
      const unknown = await call("GET", "transit/keys/kubernetes", undefined, { namespace: "nowhere" });
      expect([unknown.status, errorsOf(unknown)]).toEqual([404, ["namespace not found"]]);
      for (const namespace of ["team", "nowhere"]) {
        const health = await call("GET", "sys/health", undefined, { namespace, token: "" });
        expect([health.status, errorsOf(health)]).toEqual([400, ["operation unavailable in namespaces"]]);
      }
    });
  });
}
