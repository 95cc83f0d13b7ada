/**
 * Capabilities by policy.
 *
 * @module A part of openbao-contract.ts.
 */
import { describe, expect, test } from "bun:test";
import { objectAt } from "../fakes/openbao/json-at.ts";
import { type ContractContext } from "./contract-context.ts";

export function capabilitiesContract(context: ContractContext): void {
  const { call, asProvider, errorsOf, freshToken, role } = context;

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
      const reply = await asProvider("POST", "sys/capabilities-self", { paths: [] });
      expect([reply.status, errorsOf(reply)]).toEqual([400, ["paths must be supplied"]]);
    });
    test("patterns", async () => {
      await context.openbao.operator.must("POST", "sys/policies/acl/patterns", {
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
