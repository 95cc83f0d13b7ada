/** @module What a policy and a namespace let a token do. A part of openbao.contract.test.ts. */
import { describe, expect, test } from "bun:test";
import { objectAt, textAt } from "../fakes/openbao/json-at.ts";
import { type CallOptions } from "../fakes/openbao/operator.ts";
import { provision } from "../fakes/openbao/provision.ts";
import { type ContractContext, refused } from "./contract-context.ts";

export function capabilitiesContract(context: ContractContext): void {
  const { call, asProvider, freshToken, role, must } = context;

  describe("capabilities", () => {
    test("several paths", async () => {
      const { body } = await asProvider("POST", "sys/capabilities-self", {
        paths: [
          "transit/encrypt/kubernetes",
          "transit/keys/kubernetes",
          "transit/keys/kubernetes/rotate",
          "sys/seal",
        ],
      });
      expect(objectAt(body, "data")).toEqual({
        "transit/encrypt/kubernetes": ["update"],
        "transit/keys/kubernetes": ["read"],
        "transit/keys/kubernetes/rotate": ["deny"],
        "sys/seal": ["deny"],
      });
    });
    test("one path, and root", async () => {
      const { body } = await call("POST", "sys/capabilities-self", { paths: ["transit/keys/kubernetes"] });
      expect(objectAt(body, "data")).toEqual({ capabilities: ["root"], "transit/keys/kubernetes": ["root"] });
    });
    test("no path", async () => {
      await refused(asProvider("POST", "sys/capabilities-self", { paths: [] }), "paths must be supplied");
    });
    test("patterns", async () => {
      await must("POST", "sys/policies/acl/patterns", {
        policy: `path "transit/*" { capabilities = ["read"] }
path "transit/keys/+" { capabilities = ["list", "update"] }
path "transit/keys/closed" { capabilities = ["deny"] }
path "sys/capabilities-self" { capabilities = ["update"] }`,
      });
      await role("patterns", { token_policies: ["patterns"] });
      const { body } = await call(
        "POST",
        "sys/capabilities-self",
        { paths: ["transit/x", "transit/keys/a", "transit/keys/closed"] },
        { token: await freshToken("patterns") },
      );
      expect(objectAt(body, "data")).toEqual({
        "transit/x": ["read"],
        "transit/keys/a": ["list", "update"],
        "transit/keys/closed": ["deny"],
      });
    });
  });
}

export function namespacesContract(context: ContractContext): void {
  const { call, jwt } = context;

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
      await refused(
        call("GET", "transit/keys/kubernetes", undefined, { namespace: "nowhere" }),
        "namespace not found",
        404,
      );
      for (const namespace of ["team", "nowhere"]) {
        await refused(
          call("GET", "sys/health", undefined, { namespace, token: "" }),
          "operation unavailable in namespaces",
        );
      }
    });
  });
}
