/**
 * @module The key state and its registry on a real OpenBao. What only OpenBao itself can show: that each thing that can become
 * of a key looks as the findings expect, and that what was written before it decrypts after it.
 */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import { Secret } from "../../src/base/secret.ts";
import type { HttpTransport } from "../../src/http/https.ts";
import { createKeyState, type KeyState } from "../../src/key/rotation/key-state.ts";
import { createOpenBaoClient, type OpenBaoClient } from "../../src/openbao/client/client.ts";
import { createTransitClient, type TransitClient } from "../../src/openbao/transit/client.ts";
import { textAt } from "../fakes/openbao/json-at.ts";
import { testIdentity } from "../fakes/registry-fixture.ts";
import { type RegistryOnDisk, registryOnDisk } from "../fakes/registry-on-disk.ts";
import { type RealOpenBao, startOpenBao } from "../harness/openbao.ts";
import { openbaoTransport } from "../harness/openbao-transport.ts";
import { describeReal } from "../harness/real-suite.ts";

const N = 2;
const MOUNT = "transit-key-state";
const signal = (): AbortSignal => AbortSignal.timeout(10_000);

describeReal("key state on a real OpenBao", { needs: ["bao"] }, (binary) => {
  let bao: RealOpenBao;
  let transport: HttpTransport;
  let openbao: OpenBaoClient;
  let disk: RegistryOnDisk;
  let transit: TransitClient;
  let keys: KeyState;
  let keyName = "";
  let made = 0;

  beforeAll(async () => {
    bao = await startOpenBao(binary("bao"));
    await bao.operator.must("POST", `sys/mounts/${MOUNT}`, { type: "transit" });
    await bao.operator.must("POST", `${MOUNT}/config/keys`, { disable_upsert: true });
    transport = await openbaoTransport(bao.caFile);
    openbao = createOpenBaoClient({
      transport,
      clock: systemClock,
      addresses: [bao.address],
      namespace: "",
      timeoutMs: 2000,
    });
  }, 60_000);
  afterAll(async () => {
    transport.close();
    await bao.dispose();
  });

  beforeEach(async () => {
    made += 1;
    keyName = `key-${made}`;
    disk = registryOnDisk();
    await bao.operator.must("POST", `${MOUNT}/keys/${keyName}`, { type: "aes256-gcm96" });
    const names = { mountPath: MOUNT, keyName };
    const token = new Secret(bao.rootToken);
    transit = createTransitClient({ call: (call) => openbao.call({ ...call, token }) }, names);
    keys = createKeyState({
      store: disk.open(),
      statePath: disk.path,
      identity: testIdentity,
      pluginVersion: "v0.0.0",
      transit,
      clock: systemClock,
      random: Math.random,
      policy: {
        requireStableObservationCount: N,
        activationDelayMs: 0,
        probeIntervalMs: 0,
        statusMaxStalenessMs: 60_000,
        deepProbeIntervalMs: 0,
        missingState: "refuse",
        outage: "keep-writing",
        retryIntervalMs: 0,
        names,
      },
      onEvent: () => {},
    });
    await keys.start();
    await keys.probe(signal());
  });
  afterEach(() => disk.remove());

  const configure = (settings: Readonly<Record<string, number | boolean>>): Promise<unknown> =>
    bao.operator.must("POST", `${MOUNT}/keys/${keyName}/config`, settings);
  const rotate = (): Promise<unknown> => bao.operator.must("POST", `${MOUNT}/keys/${keyName}/rotate`, {});
  const probes = async (count: number): Promise<void> => {
    for (let probe = 0; probe < count; probe += 1) {
      await keys.probe(signal());
    }
  };
  const write = async (text: string): Promise<{ keyId: string; ciphertext: string }> => {
    const handle = keys.keyForEncrypt();
    const { associatedData, keyId, version } = handle;
    const plaintext = Buffer.from(text);
    const ciphertext = await transit.encrypt({ plaintext, associatedData, keyVersion: version }, signal());
    await keys.confirmEncrypted(handle, { plaintext, ciphertext }, signal());
    return { keyId, ciphertext };
  };
  const read = async ({ keyId, ciphertext }: { keyId: string; ciphertext: string }): Promise<string> => {
    const { associatedData } = await keys.keyForDecrypt(keyId, signal());
    return Buffer.from(await transit.decrypt({ ciphertext, associatedData }, signal())).toString();
  };
  const healthz = (): string => {
    const status = keys.status();
    return status.kind === "known" ? status.healthz : status.kind;
  };

  test("rotates twice; data of every version decrypts after each step", async () => {
    const stored = [await write("seed 1")];
    for (let rotation = 2; rotation <= 3; rotation += 1) {
      await rotate();
      await probes(N);
      stored.push(await write(`seed ${rotation}`));
      expect(keys.view().active?.version).toBe(rotation);
      expect(await Promise.all(stored.map(read))).toEqual(stored.map((_, index) => `seed ${index + 1}`));
    }
    expect(new Set(stored.map((each) => each.keyId)).size).toBe(3);
    expect(healthz()).toBe("ok");
  });

  test("a lost and restored key: soft deletion", async () => {
    const stored = await write("seed");
    await bao.operator.must("DELETE", `${MOUNT}/keys/${keyName}/soft-delete`);
    await probes(N);
    expect(keys.status().kind).toBe("lost");
    expect(keys.view().findings.map((each) => each.code)).toContain("soft_deleted");
    await bao.operator.must("POST", `${MOUNT}/keys/${keyName}/soft-delete-restore`, {});
    await probes(1);
    expect(healthz()).toBe("ok");
    expect(await read(stored)).toBe("seed");
  });

  test("min_decryption_version above the active version", async () => {
    const stored = await write("seed");
    await rotate();
    await configure({ min_decryption_version: 2 });
    await probes(N);
    expect(keys.status().kind).toBe("lost");
    expect(keys.view().findings.map((each) => each.code)).toContain("active_version_hidden");
    expect(await read(stored).catch(() => "refused")).toBe("refused");
    await configure({ min_decryption_version: 1 });
    await probes(N);
    expect(healthz()).toBe("ok");
    expect(keys.view().active?.version).toBe(2);
  });

  test("min_decryption_version above a version that is still needed, min_encryption_version, deletion allowed", async () => {
    const stored = await write("seed");
    await rotate();
    await probes(N);
    await configure({ min_decryption_version: 2 });
    await probes(1);
    expect(keys.view().notReady?.code).toBe("needed_version_hidden");
    expect(() => keys.keyForEncrypt()).toThrow();
    await configure({ min_decryption_version: 1 });
    await probes(1);
    expect(await read(stored)).toBe("seed");
    await configure({ deletion_allowed: true });
    await probes(1);
    expect(keys.view().notReady?.code).toBe("deletion_allowed");
    await configure({ deletion_allowed: false });
    await rotate();
    await configure({ min_encryption_version: 3 });
    await probes(1);
    expect(keys.view().notReady?.code).toBe("min_encryption_above_active");
    await configure({ min_encryption_version: 0 });
    await probes(N);
    expect(keys.view().active?.version).toBe(3);
  });

  test("disable_upsert off", async () => {
    await bao.operator.must("POST", `${MOUNT}/config/keys`, { disable_upsert: false });
    await probes(1);
    expect(healthz()).toBe("upsert_enabled");
    await bao.operator.must("POST", `${MOUNT}/config/keys`, { disable_upsert: true });
    await probes(1);
    expect(healthz()).toBe("ok");
  });

  test("a key that is deleted, and then made again", async () => {
    const stored = await write("seed");
    await configure({ deletion_allowed: true });
    await bao.operator.must("DELETE", `${MOUNT}/keys/${keyName}`);
    await probes(N);
    expect(keys.view().notReady?.code).toBe("key_missing");
    expect(keys.status().kind).toBe("lost");
    // The creation time has a resolution of one second.
    await systemClock.sleep(1100, signal());
    await bao.operator.must("POST", `${MOUNT}/keys/${keyName}`, { type: "aes256-gcm96" });
    await probes(1);
    expect(() => keys.keyForEncrypt()).toThrow();
    await probes(N);
    expect(keys.status().kind).toBe("lost");
    expect(keys.view().notReady?.code).toBe("active_version_recreated");
    expect(read(stored)).rejects.toThrow();
  }, 60_000);

  test("another key restored over it by force with the same version: nothing under it is given out", async () => {
    const other = `${keyName}-other`;
    await bao.operator.must("POST", `${MOUNT}/keys/${other}`, {
      type: "aes256-gcm96",
      exportable: true,
      allow_plaintext_backup: true,
    });
    const backup = textAt(await bao.operator.must("GET", `${MOUNT}/backup/${other}`), "data", "backup");
    const stored = await write("seed");
    await bao.operator.must("POST", `${MOUNT}/restore/${keyName}`, { backup, force: true });
    expect(write("lost")).rejects.toMatchObject({ code: "key_replaced" });
    expect(read(stored)).rejects.toMatchObject({ code: "decrypt_failed" });
    await probes(1);
    expect(() => keys.keyForEncrypt()).toThrow();
  });

  test("sealed, and unsealed again", async () => {
    const stored = await write("seed");
    await bao.seal();
    await probes(2);
    expect(healthz()).toBe("openbao_sealed");
    await bao.unseal();
    await systemClock.sleep(100, signal());
    await probes(3);
    expect(await read(stored)).toBe("seed");
  });
});
