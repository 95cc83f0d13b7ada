/** @module `kms.status_encrypt`: Status, Encrypt and Decrypt through a server of doctor's own, on a socket in a private directory. */
import { timingSafeEqual } from "node:crypto";
import { chmodSync, chownSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildInfo } from "../../../base/build-info.ts";
import { systemClock } from "../../../base/clock.ts";
import { errnoOf } from "../../../base/errno.ts";
import { ProviderError } from "../../../base/error-class.ts";
import { activeVersion } from "../../../key/registry/record.ts";
import { trySqliteLock } from "../../../key/registry/writer-lock.ts";
import type { KeyHandle } from "../../../key/rotation/key-handles.ts";
import { handleMaker } from "../../../key/rotation/key-handles.ts";
import { openKmsClient } from "../../../kms/client.ts";
import { KeyManagementService } from "../../../kms/gen/v2/api_pb.ts";
import { MAX_MESSAGE_BYTES } from "../../../kms/limits.ts";
import { kmsService, type ServingKey } from "../../../kms/service.ts";
import { configIdentity } from "../../../provider/registry.ts";
import { DEFAULT_SESSION_LIMITS, startKmsListener, unaryHandlers } from "../../../server/kms-listener.ts";
import type { DoctorCheck } from "../context.ts";

const TIMEOUT_MS = 3000;
/** As long as the seed that kube-apiserver has encrypted. */
const SEED_BYTES = 32;
const STOP_MS = 500;
/** Writable in every container, as /tmp is not. */
const SHARED_MEMORY = "/dev/shm";

export const kmsStatusEncrypt: DoctorCheck = {
  id: "kms.status_encrypt",
  proves: "Status, Encrypt and Decrypt work over a socket as kube-apiserver calls them.",
  needs: ["transit.probe", "registry.state"],
  whenFailed: "see the message; the checks before this one passed",
  run: async (context, signal) => {
    const { config } = context.fact("loaded");
    const { random } = context.options;
    const registry = context.fact("registry");
    const version =
      registry === undefined ? context.fact("metadata").versions.at(-1) : activeVersion(registry.record);
    if (version === undefined) {
      return { skipped: "the key shows no version" };
    }
    const handle = handleMaker(configIdentity(config), buildInfo.version).handleOf(version);
    const directory = privateDirectory([tmpdir(), SHARED_MEMORY]);
    const uid = process.getuid?.() ?? 0;
    const gid = process.getgid?.() ?? 0;
    chownSync(directory, uid, gid);
    chmodSync(directory, 0o2750);
    const socketPath = join(directory, "kms.sock");
    try {
      const { calls } = context.fact("access").transit;
      const service = kmsService({
        keys: fixedKey(handle),
        transit: { encrypt: calls.encrypt.single, decrypt: calls.decrypt.single },
        caps: { Status: 4, Encrypt: 4, Decrypt: 4 },
        clock: systemClock,
        observer: { started() {}, ended() {} },
      });
      const listener = await startKmsListener({
        path: socketPath,
        mode: 0o600,
        ownerUid: uid,
        groupGid: gid,
        ownerName: String(uid),
        groupName: String(gid),
        handlers: unaryHandlers(KeyManagementService, service, {
          maxMessageBytes: MAX_MESSAGE_BYTES,
          maxTimeoutMs: TIMEOUT_MS,
        }),
        maxMessageBytes: MAX_MESSAGE_BYTES,
        limits: DEFAULT_SESSION_LIMITS,
        clock: systemClock,
        tryLock: trySqliteLock,
        watchIntervalMs: 1000,
        onEvent: () => {},
      });
      const client = openKmsClient({ socketPath, timeoutMs: TIMEOUT_MS, uid: () => "doctor" });
      try {
        const { healthz, keyId } = await client.status(signal);
        const seed = random(SEED_BYTES);
        const sealed = await client.encrypt(seed, signal);
        const opened = await client.decrypt(sealed, signal);
        if (keyId !== sealed.keyId || opened.length !== seed.length || !timingSafeEqual(opened, seed)) {
          throw new ProviderError({
            code: "round_trip_differs",
            errorClass: "unknown",
            message: "what Decrypt gave back is not what Encrypt was given, or under another key_id",
            advice: "report this as a defect",
          });
        }
        return { detail: `${healthz}, version ${version.version}` };
      } finally {
        client.close();
        await listener.stop(STOP_MS);
      }
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  },
};

/** The first of these places that can be written: /tmp of a container may be read-only. */
export function privateDirectory(places: readonly string[]): string {
  const failed: string[] = [];
  for (const place of places) {
    try {
      return mkdtempSync(join(place, "doctor-"));
    } catch (error) {
      failed.push(`${place} (${errnoOf(error) ?? "unknown reason"})`);
    }
  }
  throw new ProviderError({
    code: "no_temporary_directory",
    errorClass: "unknown",
    message: `doctor could not make a directory for a socket of its own in ${failed.join(" or ")}`,
    advice: "set TMPDIR to a directory that this user may write",
  });
}

function fixedKey(handle: KeyHandle): ServingKey {
  return {
    status: () => ({ kind: "known", keyId: handle.keyId, healthz: "ok" }),
    keyForEncrypt: () => handle,
    // The Decrypt that follows reads it back.
    confirmEncrypted: async () => {},
    keyForDecrypt: async (keyId) => {
      if (keyId !== handle.keyId) {
        throw new ProviderError({
          code: "key_id_unknown",
          errorClass: "key_id_unknown",
          message: "another key_id than the one that was shown",
        });
      }
      return handle;
    },
  };
}
