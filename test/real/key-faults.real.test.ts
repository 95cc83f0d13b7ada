/**
 * What happens to the Transit key while the compiled executable uses it: good and bad.
 */
import { expect, test } from "bun:test";
import { eventually } from "../harness/eventually.ts";
import { describeFaults, TEST_TIMEOUT_MS } from "../harness/fault-stage.ts";
import { codeOf } from "../harness/kms-client.ts";
import { opens, untilKeyIdChanges, untilStatusCode } from "../harness/outage.ts";

describeFaults("the Transit key changes", (stage) => {
  test(
    "rotated twice: the key_id changes once each, every version opens",
    async () => {
      const made = [stage.sample];
      for (let rotation = 0; rotation < 2; rotation += 1) {
        await stage.post(`${stage.keyPath()}/rotate`);
        await untilKeyIdChanges(stage.provider, made.at(-1)?.keyId ?? "");
        const next = await stage.provider.client.encrypt(stage.seed);
        expect(next.keyId).toBe((await stage.provider.client.status()).keyId);
        made.push(next);
      }
      expect(new Set(made.map((each) => each.keyId)).size).toBe(3);
      for (const each of made) {
        expect(await opens(stage.provider, each, stage.seed)).toBe(true);
      }
      await stage.provider.kill();
      await stage.provider.start();
      expect((await stage.provider.client.status()).keyId).toBe(made[2]?.keyId ?? "");
      expect(await stage.opensSample()).toBe(true);
    },
    TEST_TIMEOUT_MS,
  );
  test(
    "disable_upsert off: nothing is encrypted, everything decrypts",
    async () => {
      await stage.post(`${stage.names.mount}/config/keys`, { disable_upsert: false });
      await stage.expectOutage();
      await eventually("Encrypt is refused", async () => (await stage.encryptCode()) !== "OK", {
        timeoutMs: 5000,
      });
      expect(await stage.opensSample()).toBe(true);
      await stage.post(`${stage.names.mount}/config/keys`, { disable_upsert: true });
      await stage.expectRecovery();
    },
    TEST_TIMEOUT_MS,
  );
  test(
    "profile drift that cannot be undone: nothing is encrypted, everything decrypts",
    async () => {
      await stage.post(`${stage.keyPath()}/config`, { exportable: true });
      await stage.expectOutage();
      await eventually("Encrypt is refused", async () => (await stage.encryptCode()) !== "OK", {
        timeoutMs: 5000,
      });
      expect(await stage.opensSample()).toBe(true);
    },
    TEST_TIMEOUT_MS,
  );
  test(
    "soft-deleted: the active version is lost; restored: as before",
    async () => {
      await stage.openbao.operator.must("DELETE", `${stage.keyPath()}/soft-delete`);
      await untilStatusCode(stage.provider, "FAILED_PRECONDITION");
      expect(await stage.encryptCode()).not.toBe("OK");
      await stage.post(`${stage.keyPath()}/soft-delete-restore`);
      await stage.expectRecovery();
    },
    TEST_TIMEOUT_MS,
  );
  test(
    "min_decryption_version above the active version: lost until it is lowered",
    async () => {
      await stage.provider.dispose();
      // Promotion is far away, so that the active version stays behind the latest.
      await stage.prepare({
        config: { rotation: { activationDelay: "1h", requireStableObservationCount: 2 } },
      });
      await stage.provider.start();
      await stage.takeSample();
      await stage.post(`${stage.keyPath()}/rotate`);
      await stage.post(`${stage.keyPath()}/config`, { min_decryption_version: 2 });
      await untilStatusCode(stage.provider, "FAILED_PRECONDITION");
      expect(await stage.decryptCode()).not.toBe("OK");
      await stage.post(`${stage.keyPath()}/config`, { min_decryption_version: 1 });
      await stage.expectRecovery();
    },
    TEST_TIMEOUT_MS,
  );
  test(
    "the provider stopped by SIGSTOP and continued: the version that came meanwhile is promoted in its time",
    async () => {
      stage.provider.pause();
      await stage.post(`${stage.keyPath()}/rotate`);
      await Bun.sleep(2000);
      stage.provider.resume();
      expect((await stage.provider.client.status()).keyId).toBe(stage.sample.keyId);
      const after = await untilKeyIdChanges(stage.provider, stage.sample.keyId);
      expect((await stage.provider.client.encrypt(stage.seed)).keyId).toBe(after);
      expect(await stage.opensSample()).toBe(true);
    },
    TEST_TIMEOUT_MS,
  );
  test(
    "deleted and made again: lost for good, never confused with the new key",
    async () => {
      await stage.post(`${stage.keyPath()}/config`, { deletion_allowed: true });
      await stage.openbao.operator.must("DELETE", stage.keyPath());
      await untilStatusCode(stage.provider, "FAILED_PRECONDITION");
      // A version made within the same second would have the same creation time.
      await Bun.sleep(1100);
      await stage.post(stage.keyPath(), { type: "aes256-gcm96" });
      await Bun.sleep(2000);
      expect(await codeOf(stage.provider.client.status())).toBe("FAILED_PRECONDITION");
      expect(await stage.decryptCode()).not.toBe("OK");
      expect(await stage.encryptCode()).not.toBe("OK");
    },
    TEST_TIMEOUT_MS,
  );
});
