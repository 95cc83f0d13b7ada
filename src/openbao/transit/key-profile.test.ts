import { expect, test } from "bun:test";
import { testMetadata } from "../../../test/fakes/key-scope.ts";
import type { KeyMetadata } from "./key-metadata.ts";
import { type ProfileDriftCode, profileDrifts, upsertDrift } from "./key-profile.ts";

const NAMES = { mountPath: "transit", keyName: "kubernetes" };
const GOOD = testMetadata([1]);

test("the required profile has no drift", () => {
  expect(profileDrifts(GOOD, NAMES)).toEqual([]);
  expect(upsertDrift(true, NAMES)).toBeUndefined();
});

const drifts: readonly [Partial<KeyMetadata>, ProfileDriftCode][] = [
  [{ type: "chacha20-poly1305" }, "wrong_type"],
  [{ derived: true }, "derived"],
  [{ convergent: true }, "convergent"],
  [{ exportable: true }, "exportable"],
  [{ allowPlaintextBackup: true }, "plaintext_backup_allowed"],
  [{ deletionAllowed: true }, "deletion_allowed"],
  [{ softDeleted: true }, "soft_deleted"],
  [{ supportsEncryption: false }, "encryption_unsupported"],
  [{ supportsDecryption: false }, "decryption_unsupported"],
];

test.each(drifts)("%p is %s", (change, code) => {
  const [drift, ...others] = profileDrifts({ ...GOOD, ...change }, NAMES);
  expect(others).toEqual([]);
  expect(drift?.code).toBe(code);
  expect(drift?.message).toContain("transit/keys/kubernetes");
});

test("an external key is named as what it is", () => {
  const [external] = profileDrifts({ ...GOOD, type: "external-key" }, NAMES);
  const [other] = profileDrifts({ ...GOOD, type: "rsa-4096" }, NAMES);
  expect([external?.code, other?.code]).toEqual(["wrong_type", "wrong_type"]);
  expect(external?.message).toContain("external key");
  expect(other?.message).not.toContain("external key");
});

test("all drifts are named together, each in its own words", () => {
  const all = profileDrifts(Object.assign({}, GOOD, ...drifts.map(([change]) => change)), NAMES);
  expect(all.map(({ code }) => code)).toEqual(drifts.map(([, code]) => code));
  expect(new Set(all.map(({ message }) => message)).size).toBe(all.length);
});

test("a mount that makes keys by mistake is named", () => {
  expect(upsertDrift(false, NAMES)?.code).toBe("upsert_enabled");
});
