/**
 * Sealed and unsealed.
 *
 * @module A part of openbao-contract.ts.
 */
import { describe, expect, test } from "bun:test";
import { type ContractContext } from "./contract-context.ts";

export function sealContract(context: ContractContext): void {
  const { call, asProvider, errorsOf, logIn, encrypt } = context;

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
        expect([reply.status, errorsOf(reply)]).toEqual([503, ["Vault is sealed"]]);
      }
      await context.openbao.unseal();
      expect((await asProvider("POST", "transit/decrypt/kubernetes", { ciphertext })).status).toBe(200);
    });
  });
}
