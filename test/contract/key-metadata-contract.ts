/** @module What `keys/<name>` and `config/keys` show, and what changes it. A part of openbao.contract.test.ts. */
import { describe, expect, test } from "bun:test";
import { objectAt } from "../fakes/openbao/json-at.ts";
import type { JsonObject } from "../fakes/openbao/reply.ts";
import { type ContractContext, dataOf, refused } from "./contract-context.ts";

export function keyMetadataContract(context: ContractContext): void {
  const { call, asProvider, newKey, encrypt, must } = context;

  describe("key metadata", () => {
    test("a fresh key has the required profile", async () => {
      const { body } = await asProvider("GET", "transit/keys/kubernetes");
      const { keys, ...profile } = objectAt(body, "data");
      expect(profile).toEqual({
        allow_plaintext_backup: false,
        auto_rotate_period: 0,
        deletion_allowed: false,
        derived: false,
        exportable: false,
        imported_key: false,
        latest_version: 1,
        min_available_version: 0,
        min_decryption_version: 1,
        min_encryption_version: 0,
        name: "kubernetes",
        soft_deleted: false,
        supports_decryption: true,
        supports_derivation: true,
        supports_encryption: true,
        supports_signing: false,
        type: "aes256-gcm96",
      });
      expect(keys).toEqual({ "1": expect.any(Number) });
    });
    test("the mount's profile", async () => {
      expect(await dataOf(asProvider("GET", "transit/config/keys"))).toEqual({ disable_upsert: true });
    });
    test("versions below min_decryption_version are hidden", async () => {
      await newKey("hidden", 3);
      await must("POST", "transit/keys/hidden/config", {
        min_decryption_version: 3,
      });
      const { body } = await call("GET", "transit/keys/hidden");
      expect(Object.keys(objectAt(objectAt(body, "data"), "keys"))).toEqual(["3"]);
      await refused(
        call("POST", "transit/encrypt/hidden", { plaintext: "", key_version: 1 }),
        "no such key version",
      );
    });
    test("a missing key is 404 without errors", async () => {
      const reply = await call("GET", "transit/keys/missing");
      expect([reply.status, reply.body]).toEqual([404, { errors: [] }]);
    });
    test.each<[string, JsonObject, JsonObject]>([
      ["another type", { type: "aes128-gcm96" }, { type: "aes128-gcm96" }],
      ["no encryption", { type: "ecdsa-p256" }, { supports_encryption: false, supports_decryption: false }],
      ["derived", { derived: true }, { derived: true, convergent_encryption: false }],
      ["convergent", { derived: true, convergent_encryption: true }, { convergent_encryption: true }],
      ["exportable", { exportable: true }, { exportable: true }],
      ["plaintext backup", { allow_plaintext_backup: true }, { allow_plaintext_backup: true }],
    ])("a key made otherwise shows it: %s", async (name, options, shown) => {
      const { body } = await call("POST", `transit/keys/profile-${name.replaceAll(" ", "-")}`, options);
      expect(objectAt(body, "data")).toMatchObject(shown);
    });
    test.each(["decryption", "encryption"])("a minimum %s version above the latest", async (direction) => {
      await refused(
        call("POST", "transit/keys/kubernetes/config", { [`min_${direction}_version`]: 9 }),
        `cannot set min ${direction} version of 9, latest key version is 1`,
      );
    });
    test("config that can be changed", async () => {
      await newKey("changed");
      const { body } = await call("POST", "transit/keys/changed/config", {
        deletion_allowed: true,
        auto_rotate_period: "24h",
      });
      expect(objectAt(body, "data")).toMatchObject({ deletion_allowed: true, auto_rotate_period: 86_400 });
    });
    test("deletion needs deletion_allowed; made again, the key opens nothing old", async () => {
      await newKey("remade");
      const ciphertext = await encrypt("remade");
      await refused(
        call("DELETE", "transit/keys/remade"),
        "error deleting policy remade: deletion is not allowed for this key",
      );
      await must("POST", "transit/keys/remade/config", { deletion_allowed: true });
      expect((await call("DELETE", "transit/keys/remade")).status).toBe(204);
      await newKey("remade");
      await refused(
        call("POST", "transit/decrypt/remade", { ciphertext }),
        "cipher: message authentication failed",
      );
    });
    test("soft deletion stops use and can be undone", async () => {
      await newKey("soft");
      const ciphertext = await encrypt("soft");
      await must("DELETE", "transit/keys/soft/soft-delete");
      expect(objectAt((await call("GET", "transit/keys/soft")).body, "data")["soft_deleted"]).toBe(true);
      for (const [path, body] of [
        ["transit/encrypt/soft", { plaintext: "" }],
        ["transit/decrypt/soft", { ciphertext }],
      ] as const) {
        await refused(call("POST", path, body), "refusing to use soft-deleted key");
      }
      await must("POST", "transit/keys/soft/soft-delete-restore", {});
      expect((await call("POST", "transit/decrypt/soft", { ciphertext })).status).toBe(200);
    });
  });
}
