/** What can be done to the Transit key and its mount. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { textAt } from "../../fakes/openbao/json-at.ts";
import { type Expectation, type Fault, FINE } from "../fault.ts";
import type { World } from "../world.ts";

const HELD: Expectation = { status: "reason", encrypt: "refused", decrypt: "works" };
const LOST: Expectation = { status: "error", encrypt: "refused", decrypt: "any" };
const ROTATED: Expectation = { ...FINE, keyId: "moves" };
/** Versions that were made within one second would have one creation time. */
const NEXT_SECOND_MS = 1100;
const MINUTE_MS = 60_000;

const latestVersion = async ({ openbao, keyPath }: World): Promise<number> => {
  const { body } = await openbao.operator.call("GET", keyPath);
  const data = body["data"];
  const latest =
    typeof data === "object" && data !== null && "latest_version" in data ? data["latest_version"] : 0;
  return Number(latest);
};

const configure = (
  { post, keyPath }: World,
  settings: Readonly<Record<string, number | boolean>>,
): Promise<unknown> => post(`${keyPath}/config`, settings);

const remove = async (world: World): Promise<void> => {
  await configure(world, { deletion_allowed: true });
  await world.openbao.operator.must("DELETE", world.keyPath);
};

/** Done to the key, and undone by a restore of OpenBao's data. */
const untilRestored = (work: (world: World) => Promise<unknown>) => async (world: World) => {
  const restore = world.backUp();
  await work(world);
  return restore;
};

/** Backs up a key that was made for it, and puts it in the place of ours. */
const restoreOther = async (
  { names, openbao, post }: World,
  type: string,
  versions: number,
): Promise<void> => {
  const other = `${names.mount}/keys/other-${type}`;
  await post(other, { type, exportable: true, allow_plaintext_backup: true });
  for (let version = 2; version <= versions; version += 1) {
    await post(`${other}/rotate`);
  }
  const reply = await openbao.operator.must("GET", `${names.mount}/backup/other-${type}`);
  await Bun.sleep(NEXT_SECOND_MS);
  await post(`${names.mount}/restore/${names.keyName}`, {
    backup: textAt(reply, "data", "backup"),
    force: true,
  });
};

/** The configuration with intervals so long that no probe of its own comes within the row. */
const unprobed = ({ provider }: World): string => {
  const path = join(provider.dir, "unprobed.yaml");
  const config = readFileSync(provider.configPath, "utf8")
    .replace(/(robeInterval): .*/g, "$1: 10m")
    .replace(/(statusMaxStaleness): .*/, "$1: 30m");
  writeFileSync(path, config, { mode: 0o640 });
  return path;
};

export const transitKey: readonly Fault[] = [
  {
    id: "key-rotated",
    title: "Rotated once",
    expect: ROTATED,
    cause: async (world) => {
      await (await world.rotate())();
      await Bun.sleep(300);
      const { keyId } = await world.provider.client.encrypt(new Uint8Array(32));
      if (keyId !== (await world.provider.client.status()).keyId) {
        throw new Error("Encrypt has another key_id than Status");
      }
    },
  },
  {
    id: "key-rotated-five-times",
    title: "Rotated five times in a row",
    expect: ROTATED,
    cause: async (world) => {
      const before = world.load.keyId();
      for (let rotation = 0; rotation < 5; rotation += 1) {
        await world.rotate();
        await Bun.sleep(NEXT_SECOND_MS);
      }
      await world.load.moved(before);
      await Bun.sleep(2000);
    },
  },
  {
    id: "key-soft-deleted",
    title: "Soft-deleted, and restored",
    expect: LOST,
    lastsMs: 4 * MINUTE_MS,
    cause: async (world) => {
      await world.openbao.operator.must("DELETE", `${world.keyPath}/soft-delete`);
      return () => world.post(`${world.keyPath}/soft-delete-restore`);
    },
  },
  {
    id: "key-deleted",
    title: "Deleted; OpenBao restored from a backup",
    expect: LOST,
    cause: untilRestored(remove),
  },
  {
    id: "key-made-again",
    title: "Deleted and made again under the same name; OpenBao restored from a backup",
    expect: { ...LOST, decryptMeanwhile: "refused", blamesAtFirst: true },
    shortMs: 2000,
    lastsMs: 20_000,
    cause: untilRestored(async (world) => {
      await remove(world);
      await Bun.sleep(NEXT_SECOND_MS);
      await world.post(world.keyPath, { type: "aes256-gcm96" });
    }),
  },
  {
    id: "key-other-type",
    title:
      "A key of another type, with fewer versions, restored over it by force; OpenBao restored from a backup",
    expect: { ...LOST, blamesAtFirst: true },
    cause: untilRestored((world) => restoreOther(world, "chacha20-poly1305", 1)),
  },
  {
    id: "key-other-between-probes",
    title:
      "Another key with as many versions restored over it by force, with ten minutes between probes: the first Encrypt finds it; OpenBao restored from a backup",
    expect: { ...LOST, blamesAtFirst: true, restarted: true },
    cause: async (world) => {
      await world.provider.stop();
      await world.provider.start({ configPath: unprobed(world) });
      const restore = world.backUp();
      await restoreOther(world, "aes256-gcm96", await latestVersion(world));
      return async () => {
        await restore();
        await world.provider.stop();
        await world.provider.start();
      };
    },
  },
  {
    id: "key-trimmed",
    title: "Trimmed up to the active version; OpenBao restored from a backup",
    expect: { status: "reason", encrypt: "refused", decrypt: "any" },
    cause: untilRestored(async (world) => {
      const active = await latestVersion(world);
      await configure(world, { min_decryption_version: active, min_encryption_version: active });
      await world.post(`${world.keyPath}/trim`, { min_available_version: active });
    }),
  },
  {
    id: "key-min-decryption",
    title: "min_decryption_version above versions that are still needed, and lowered",
    expect: { status: "reason", encrypt: "refused", decrypt: "any" },
    cause: async (world) => {
      await configure(world, { min_decryption_version: await latestVersion(world) });
      return () => configure(world, { min_decryption_version: 1 });
    },
  },
  {
    id: "key-min-encryption",
    title: "min_encryption_version raised to the active version: nothing happens",
    expect: FINE,
    cause: async (world) => {
      await configure(world, { min_encryption_version: await latestVersion(world) });
      return () => configure(world, { min_encryption_version: 0 });
    },
  },
  {
    id: "key-min-encryption-above",
    title:
      "Rotated, and min_encryption_version raised at once above the active version: nothing is encrypted until it is lowered, then the new version is promoted",
    expect: { ...HELD, healthz: "key_profile", keyId: "moves" },
    cause: async (world) => {
      const promoted = await world.rotate();
      await configure(world, { min_encryption_version: await latestVersion(world) });
      return async () => {
        await configure(world, { min_encryption_version: 0 });
        await promoted();
      };
    },
  },
  {
    id: "key-backup-allowed",
    title: "allow_plaintext_backup switched on, which cannot be undone; OpenBao restored from a backup",
    expect: { ...HELD, decrypt: "any", decryptMeanwhile: "works" },
    cause: untilRestored((world) => configure(world, { allow_plaintext_backup: true })),
  },
  {
    id: "key-upsert",
    title: "disable_upsert switched off, and on again",
    expect: { ...HELD, healthz: "upsert_enabled" },
    lastsMs: 10_000,
    cause: async ({ names, post }) => {
      await post(`${names.mount}/config/keys`, { disable_upsert: false });
      return () => post(`${names.mount}/config/keys`, { disable_upsert: true });
    },
  },
];
