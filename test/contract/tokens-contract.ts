/** @module Lifetime of a token: look-up, renewal, maximum, uses, revocation. A part of openbao.contract.test.ts. */
import { describe, expect, test } from "bun:test";
import { objectAt, textAt } from "../fakes/openbao/json-at.ts";
import type { OperatorReply } from "../fakes/openbao/operator.ts";
import type { JsonObject } from "../fakes/openbao/reply.ts";
import { type ContractContext, refused } from "./contract-context.ts";

export function tokensContract(context: ContractContext): void {
  const { call, logIn, freshToken, role, must } = context;

  describe("tokens", () => {
    const selfCalls = (own: string) => ({
      lookup: () => call("GET", "auth/token/lookup-self", undefined, { token: own }),
      renew: (body: JsonObject = {}) => call("POST", "auth/token/renew-self", body, { token: own }),
      revoke: () => call("POST", "auth/token/revoke-self", {}, { token: own }),
    });
    test("look up, renew, revoke", async () => {
      const { lookup, renew, revoke } = selfCalls(await freshToken(context.names.role));
      const { creation_ttl, num_uses, renewable, ttl, type, explicit_max_ttl } = objectAt(
        (await lookup()).body,
        "data",
      );
      expect({ creation_ttl, num_uses, renewable, type, explicit_max_ttl }).toEqual({
        creation_ttl: 1200,
        num_uses: 0,
        renewable: true,
        type: "service",
        explicit_max_ttl: 0,
      });
      expect(Number(ttl)).toBeWithin(1190, 1201);
      expect(objectAt((await renew({ increment: "30s" })).body, "auth")["lease_duration"]).toBe(30);
      expect(objectAt((await renew()).body, "auth")["lease_duration"]).toBe(1200);
      expect((await revoke()).status).toBe(204);
      await refused(lookup(), "permission denied", 403);
    });
    test("a renewal never reaches beyond the maximum, and says so", async () => {
      await role("short", { token_ttl: "10s", token_max_ttl: "20s" });
      const { renew } = selfCalls(await freshToken("short"));
      const { status, body } = await renew({ increment: "1h" });
      expect(status).toBe(200);
      expect(Number(objectAt(body, "auth")["lease_duration"])).toBeWithin(18, 21);
      expect(body["warnings"]).toHaveLength(1);
    });
    test("a renewal at the maximum is refused with a status of its own, while the token still lives", async () => {
      await role("brief", { token_ttl: "2s", token_max_ttl: "2s" });
      // When the last renewal is granted depends on how OpenBao rounds seconds; a token may die right at its refusal.
      const refusedAndAlive = async (): Promise<{ reply: OperatorReply; alive: boolean }> => {
        const { lookup, renew } = selfCalls(await freshToken("brief"));
        await Bun.sleep(1000);
        let reply = await renew();
        while (reply.status === 200) {
          await Bun.sleep(10);
          reply = await renew();
        }
        return { reply, alive: (await lookup()).status === 200 };
      };
      let last = await refusedAndAlive();
      for (let again = 0; !last.alive && again < 5; again += 1) {
        last = await refusedAndAlive();
      }
      expect(last.alive).toBe(true);
      expect(last.reply.status).toBe(500);
      expect(JSON.stringify(last.reply.body["errors"])).toContain("past the max TTL, cannot renew");
    }, 30_000);
    test("explicit maximum and period", async () => {
      await role("explicit", { token_explicit_max_ttl: "30m" });
      await role("periodic", { token_period: "10m" });
      const capped = await selfCalls(await freshToken("explicit")).renew({ increment: 7200 });
      expect(Number(objectAt(capped.body, "auth")["lease_duration"])).toBeWithin(1790, 1801);
      const periodic = await selfCalls(await freshToken("periodic")).renew({ increment: "2h" });
      expect(objectAt(periodic.body, "auth")["lease_duration"]).toBe(600);
    });
    test("an expired token is an unknown one", async () => {
      await role("instant", { token_ttl: "1s", token_max_ttl: "1s" });
      const { lookup } = selfCalls(await freshToken("instant"));
      await Bun.sleep(1100);
      await refused(lookup(), "permission denied", 403);
    });
    test("batch tokens are neither renewed nor revoked", async () => {
      await role("batch", { token_type: "batch" });
      const { body } = await logIn("batch");
      expect(objectAt(body, "auth")).toMatchObject({
        renewable: false,
        token_type: "batch",
        lease_duration: 1200,
      });
      const { lookup, renew, revoke } = selfCalls(textAt(body, "auth", "client_token"));
      expect(objectAt((await lookup()).body, "data")).toMatchObject({ type: "batch", renewable: false });
      await refused(renew(), "batch tokens cannot be renewed");
      await refused(revoke(), "batch tokens cannot be revoked");
    });
    test("uses are counted down to nothing", async () => {
      await role("counted", { token_num_uses: 3 });
      const { body } = await logIn("counted");
      expect(objectAt(body, "auth")["num_uses"]).toBe(3);
      const own = textAt(body, "auth", "client_token");
      const use = async (): Promise<number> =>
        (await call("GET", "transit/keys/kubernetes", undefined, { token: own })).status;
      expect([await use(), await use(), await use(), await use()]).toEqual([200, 200, 200, 403]);
    });
    test("a policy that shrinks takes effect at once", async () => {
      await must("POST", "sys/policies/acl/shrinking", {
        policy: 'path "transit/keys/kubernetes" { capabilities = ["read"] }',
      });
      await role("shrinking", { token_policies: ["shrinking"] });
      const options = { token: await freshToken("shrinking") };
      const read = async (): Promise<number> =>
        (await call("GET", "transit/keys/kubernetes", undefined, options)).status;
      expect(await read()).toBe(200);
      await must("POST", "sys/policies/acl/shrinking", {
        policy: 'path "x" { capabilities = ["read"] }',
      });
      expect(await read()).toBe(403);
    });
    test("the default policy allows what concerns the token itself", async () => {
      await role("default", { token_no_default_policy: false });
      const { body } = await logIn("default");
      expect(objectAt(body, "auth")["policies"]).toEqual(["default", "kms-provider"]);
    });
  });
}
