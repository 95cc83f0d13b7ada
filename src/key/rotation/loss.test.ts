/** The two kinds of bad: what holds Encrypt, and what stops writes. */
import { describe, expect, test } from "bun:test";
import type { FakeKey } from "../../../test/fakes/fake-key.ts";
import { testPolicy } from "../../../test/fakes/key-node.ts";
import {
  codeOf,
  decryptCode,
  healthz,
  INTERVAL,
  N,
  never,
  probes,
  recordOf,
  running,
} from "../../../test/fakes/key-node-questions.ts";
import { testIdentity } from "../../../test/fakes/registry-fixture.ts";
import { deriveKeyId } from "../identity/key-id.ts";

describe("a key that is not as required", () => {
  const held: readonly (readonly [string, (key: FakeKey) => void, string])[] = [
    ["disable_upsert off", (key) => key.change({ upsertDisabled: false }), "upsert_enabled"],
    ["deletion allowed", (key) => key.change({ settings: { deletionAllowed: true } }), "deletion_allowed"],
    ["exportable", (key) => key.change({ settings: { exportable: true } }), "exportable"],
    [
      "plaintext backup",
      (key) => key.change({ settings: { allowPlaintextBackup: true } }),
      "plaintext_backup_allowed",
    ],
    ["another type", (key) => key.change({ settings: { type: "chacha20-poly1305" } }), "wrong_type"],
    ["derived", (key) => key.change({ settings: { derived: true } }), "derived"],
    ["convergent", (key) => key.change({ settings: { convergent: true } }), "convergent"],
    [
      "no encryption",
      (key) => key.change({ settings: { supportsEncryption: false } }),
      "encryption_unsupported",
    ],
    [
      "no decryption",
      (key) => key.change({ settings: { supportsDecryption: false } }),
      "decryption_unsupported",
    ],
    [
      "min_encryption_version above active",
      (key) => key.change({ settings: { minEncryptionVersion: 9 } }),
      "min_encryption_above_active",
    ],
    ["a needed version hidden", (key) => key.change({ minDecryptionVersion: 2 }), "needed_version_hidden"],
  ];
  test.each(held)(
    "%s: nothing is encrypted, Status has a reason, Decrypt goes on",
    async (_, damage, code) => {
      const { node, key } = await running();
      key.rotate();
      await probes(node, 5);
      const { keyId } = node.keys.keyForEncrypt();
      const good = key.state;
      node.takeEvents();
      damage(key);
      key.rotate();
      await probes(node, 6);
      const profileEvents = () => node.takeEvents().filter((name) => name === "rotation.profile");
      expect(profileEvents()).toHaveLength(1);
      expect(node.keys.status()).toMatchObject({ kind: "known", keyId });
      expect(healthz(node)).not.toBe("ok");
      expect(node.keys.view().notReady?.code).toBe(code);
      expect(codeOf(() => node.keys.keyForEncrypt())).toBe("encrypt_held");
      expect((await node.keys.keyForDecrypt(keyId, never)).version).toBe(2);
      key.restore({ ...good, versions: key.state.versions });
      await node.probeAfter(INTERVAL);
      expect(healthz(node)).toBe("ok");
      expect(node.keys.keyForEncrypt().version).toBe(2);
      expect(profileEvents()).toHaveLength(1);
    },
  );
});

describe("a lost active version", () => {
  const lost: readonly (readonly [string, (key: FakeKey) => void, string])[] = [
    ["the key is gone", (key) => key.change({ exists: false }), "key_missing"],
    ["soft deletion", (key) => key.change({ settings: { softDeleted: true } }), "soft_deleted"],
    ["a changed creation time", (key) => key.recreate(), "active_version_recreated"],
    [
      "a lower latest version",
      (key) => key.change({ versions: key.state.versions.slice(0, 1) }),
      "latest_below_active",
    ],
    [
      "min_decryption_version above active",
      (key) => key.change({ minDecryptionVersion: 3 }),
      "active_version_hidden",
    ],
    [
      "material that changed under the same creation time",
      (key) => key.change({ versions: key.state.versions.map((each) => ({ ...each, material: "other" })) }),
      "marker_refused",
    ],
  ];
  test.each(lost)(
    "%s: confirmed by enough probes, then writes stop, and it recovers by itself",
    async (_, damage, code) => {
      const { node, key } = await running();
      key.rotate();
      await probes(node, 5);
      const { keyId } = node.keys.keyForEncrypt();
      const good = key.state;
      damage(key);
      if (code === "marker_refused") {
        node.clock.pass(testPolicy.deepProbeIntervalMs);
      }
      await probes(node, N - 1);
      expect(node.keys.status()).toMatchObject({ kind: "known", keyId });
      expect(node.takeEvents()).not.toContain("rotation.lost");
      await node.probeAfter(INTERVAL);
      expect(node.keys.status()).toEqual({ kind: "lost", errorClass: "transit_key_missing" });
      expect(node.takeEvents()).toContain("rotation.lost");
      expect(node.keys.view().notReady?.code).toBe(code);
      expect(node.keys.view().rotationState).toBe("lost");
      expect(codeOf(() => node.keys.keyForEncrypt())).toBe("active_version_lost");
      expect((await node.keys.keyForDecrypt(keyId, never)).version).toBe(2);

      await node.restart();
      expect(node.keys.status()).toMatchObject({ kind: "known", keyId });
      expect(codeOf(() => node.keys.keyForEncrypt())).not.toBe("done");
      await probes(node, N);
      expect(node.keys.status().kind).toBe("lost");

      key.restore(good);
      await node.probeAfter(INTERVAL);
      expect(node.keys.status()).toEqual({ kind: "known", keyId, healthz: "ok" });
      expect(node.keys.view().rotationState).toBe("active");
      expect(node.keys.keyForEncrypt().version).toBe(2);
      expect(node.takeEvents()).toContain("rotation.recovered");
    },
  );

  test("that OpenBao cannot be asked in between proves nothing and forgets nothing", async () => {
    const { node, key } = await running();
    key.change({ exists: false });
    await probes(node, N - 1);
    key.failWith("sealed");
    await probes(node, 5);
    expect(node.keys.status().kind).toBe("known");
    key.failWith(undefined);
    await probes(node, 1);
    expect(node.keys.status().kind).toBe("lost");
  });

  test("a key that was made again is never encrypted with, not even once", async () => {
    const { node, key } = await running();
    key.recreate();
    await node.probe();
    expect(codeOf(() => node.keys.keyForEncrypt())).toBe("encrypt_held");
    await probes(node, N);
    expect(recordOf(node).versions.map((each) => each.state)).toEqual(["active", "rejected"]);
    const keyId = deriveKeyId(testIdentity, key.state.versions[0] ?? { version: 0, createdAtUnix: 0 });
    expect(await decryptCode(node, keyId)).toBe("version_rejected");
  });
});
