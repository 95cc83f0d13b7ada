/**
 * @module What all replies have in common, and refusals that no path has to itself, such as those of a sealed OpenBao. A part
 * of openbao.contract.test.ts.
 */
import { describe, expect, test } from "bun:test";
import { textAt } from "../fakes/openbao/json-at.ts";
import { type JsonObject } from "../fakes/openbao/reply.ts";
import { type ContractContext, refused } from "./contract-context.ts";

export function envelopeContract(context: ContractContext): void {
  const { call, asProvider, freshToken, role, must } = context;

  describe("envelope", () => {
    test("headers, request id and Date", async () => {
      const { status, body, headers } = await asProvider("GET", "transit/keys/kubernetes");
      expect(status).toBe(200);
      expect(headers.get("content-type")).toBe("application/json");
      expect(Math.abs(Date.parse(headers.get("date") ?? "") - Date.now())).toBeLessThan(5000);
      expect(textAt(body, "request_id")).toMatch(/^[0-9a-f-]{36}$/);
      expect(Object.keys(body).sort()).toEqual([
        "auth",
        "data",
        "lease_duration",
        "lease_id",
        "renewable",
        "request_id",
        "warnings",
        "wrap_info",
      ]);
    });
    test.each([
      ["no token", "", 403, ["permission denied"]],
      ["an unknown token", "s.unknown", 403, ["permission denied"]],
    ])("%s", async (_, wrong, status, errors) => {
      const reply = await call("GET", "transit/keys/kubernetes", undefined, { token: wrong });
      expect([reply.status, reply.body["errors"]]).toEqual([status, errors]);
    });
    test.each<[string, string, string, JsonObject | string | undefined, number, string]>([
      ["policy", "GET", "transit/keys/other", undefined, 403, "1 error occurred:\n\t* permission denied\n\n"],
      [
        "policy",
        "POST",
        "transit/keys/kubernetes/rotate",
        {},
        403,
        "1 error occurred:\n\t* permission denied\n\n",
      ],
      [
        "torn body",
        "POST",
        "transit/encrypt/kubernetes",
        "{",
        400,
        "failed to decode JSON input: unexpected EOF",
      ],
    ])("%s: %s %s", async (_, method, path, body, status, error) => {
      await refused(asProvider(method, path, body), error, status);
    });
    test("encrypt under a name without a key needs `create`, decrypt does not", async () => {
      await must("POST", "sys/policies/acl/absent", {
        policy: 'path "transit/+/absent" { capabilities = ["update"] }',
      });
      await role("absent", { token_policies: ["absent"] });
      const options = { token: await freshToken("absent") };
      expect((await call("POST", "transit/encrypt/absent", { plaintext: "" }, options)).status).toBe(403);
      expect(
        (await call("POST", "transit/decrypt/absent", { ciphertext: "vault:v1:AAAA" }, options)).status,
      ).toBe(400);
    });
    test.each([
      ["GET", "transit/nonsense", 404],
      ["GET", "transit/encrypt/kubernetes", 405],
      ["DELETE", "transit/encrypt/kubernetes", 405],
      ["GET", "nowhere/x", 404],
    ])("%s %s as root is %d", async (method, path, status) => {
      expect((await call(method, path)).status).toBe(status);
    });
  });
}

export function sealContract(context: ContractContext): void {
  const { call, asProvider, logIn, encrypt } = context;

  describe("seal", () => {
    test("sealed: 503 everywhere, told by sys/health; unsealed: as before", async () => {
      const ciphertext = await encrypt("kubernetes");
      const health = async (query = "") => (await call("GET", `sys/health${query}`)).status;
      expect(await health()).toBe(200);
      await context.openbao.seal();
      expect([await health(), await health("?sealedcode=299")]).toEqual([503, 299]);
      expect((await call("GET", "sys/health")).body).toMatchObject({ sealed: true, initialized: true });
      for (const reply of [
        await asProvider("GET", "transit/keys/kubernetes"),
        await logIn(context.names.role),
      ]) {
        expect([reply.status, reply.body["errors"]]).toEqual([503, ["Vault is sealed"]]);
      }
      await context.openbao.unseal();
      expect((await asProvider("POST", "transit/decrypt/kubernetes", { ciphertext })).status).toBe(200);
    });
  });
}
