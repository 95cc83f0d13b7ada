/** The registry's file, its directory and the file system under them. */
import {
  closeSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { eventually } from "../../harness/eventually.ts";
import type { Expectation, Fault } from "../fault.ts";
import { run, type World } from "../world.ts";

const FINE: Expectation = { status: "ok", encrypt: "works", decrypt: "works" };
const GONE: Expectation = { status: "silent", encrypt: "any", decrypt: "any", restarted: true };
const BLOCK = Buffer.alloc(4096);

/** Writes until nothing more fits; returns what frees the space again. */
function fill(directory: string): () => void {
  const path = join(directory, "filler");
  const file = openSync(path, "w");
  try {
    for (;;) {
      writeSync(file, BLOCK);
    }
  } catch {
    // ENOSPC is what was wanted.
  } finally {
    closeSync(file);
  }
  return () => rmSync(path, { force: true });
}

const rotatedWhile = (hinder: (world: World) => () => unknown) => async (world: World) => {
  const before = world.load.keyId();
  const free = hinder(world);
  await world.post(`${world.keyPath}/rotate`);
  await Bun.sleep(2500);
  if (world.load.keyId() !== before) {
    throw new Error("a version was promoted that could not be recorded");
  }
  return async () => {
    await free();
    await eventually("the new version is promoted", () => world.load.keyId() !== before, {
      timeoutMs: 20_000,
    });
  };
};

const files = ({ statePath }: World): readonly string[] => [statePath, `${statePath}.checkpoint`];

/** What is put in place of the registry while the provider is down must not be taken; then the right one is back. */
const startedOn = (spoil: (world: World) => unknown) => async (world: World) => {
  await world.provider.stop();
  const directory = dirname(world.statePath);
  const aside = `${directory}.aside`;
  cpSync(directory, aside, { recursive: true, preserveTimestamps: true });
  await spoil(world);
  world.provider.spawn();
  await eventually("the start is refused", () => world.provider.exited(), { timeoutMs: 15_000 });
  return async () => {
    rmSync(directory, { recursive: true, force: true });
    renameSync(aside, directory);
    await world.provider.start();
  };
};

const edit = (path: string, change: (text: string) => string): void =>
  writeFileSync(path, change(readFileSync(path, "utf8")), { mode: 0o600 });

export const registry: readonly Fault[] = [
  {
    id: "disk-full",
    title: "Disk full while the key is rotated: served on under the old version, promoted when there is room",
    expect: { status: "any", encrypt: "works", decrypt: "works", keyId: "moves" },
    root: true,
    cause: rotatedWhile(({ statePath }) => fill(dirname(statePath))),
  },
  {
    id: "disk-read-only",
    title: "File system remounted read-only while the key is rotated: the same",
    expect: { status: "any", encrypt: "works", decrypt: "works", keyId: "moves" },
    root: true,
    cause: rotatedWhile(({ statePath }) => {
      const mount = dirname(dirname(statePath));
      run("mount", "-o", "remount,ro", mount);
      return () => run("mount", "-o", "remount,rw", mount);
    }),
  },
  {
    id: "state-directory-removed",
    title: "State directory removed under a running provider, and made again empty",
    expect: { status: "any", encrypt: "works", decrypt: "works" },
    shortMs: 1500,
    cause: ({ statePath }) => {
      const directory = dirname(statePath);
      rmSync(directory, { recursive: true });
      return async () => {
        mkdirSync(directory, { mode: 0o750 });
        await eventually("the registry is written again", () => Bun.file(statePath).exists(), {
          timeoutMs: 20_000,
        });
      };
    },
  },
  {
    id: "registry-removed",
    title: "Registry and checkpoint removed under a running provider: written again from memory",
    expect: FINE,
    cause: async (world) => {
      for (const path of files(world)) {
        rmSync(path);
      }
      await eventually("the registry is written again", () => Bun.file(world.statePath).exists(), {
        timeoutMs: 20_000,
      });
      return () => {};
    },
  },
  {
    id: "registry-older-copy",
    title: "An older copy put back before a start: refused; then the right one",
    expect: { ...GONE, keyId: "moves" },
    cause: async (world) => {
      const older = `${world.statePath}.older`;
      copyFileSync(world.statePath, older);
      const before = world.load.keyId();
      await world.post(`${world.keyPath}/rotate`);
      await eventually("the new version is promoted", () => world.load.keyId() !== before, {
        timeoutMs: 20_000,
      });
      return startedOn(() => renameSync(older, world.statePath))(world);
    },
  },
  {
    id: "registry-older-copy-running",
    title: "An older copy put in place under a running provider: the loaded one stays in use",
    expect: { status: "any", encrypt: "works", decrypt: "works", keyId: "moves" },
    shortMs: 1500,
    cause: async (world) => {
      const older = readFileSync(world.statePath);
      const before = world.load.keyId();
      await world.post(`${world.keyPath}/rotate`);
      await eventually("the new version is promoted", () => world.load.keyId() !== before, {
        timeoutMs: 20_000,
      });
      await Bun.sleep(300);
      const newer = readFileSync(world.statePath);
      writeFileSync(`${world.statePath}.put`, older, { mode: 0o600 });
      renameSync(`${world.statePath}.put`, world.statePath);
      return () => {
        writeFileSync(`${world.statePath}.put`, newer, { mode: 0o600 });
        renameSync(`${world.statePath}.put`, world.statePath);
      };
    },
  },
  {
    id: "registry-other-identity",
    title: "The registry of another cluster's node before a start: refused",
    expect: GONE,
    cause: async (world) => {
      const { configPath } = world.provider;
      const config = readFileSync(configPath, "utf8");
      const repair = await startedOn(() =>
        edit(configPath, (text) => text.replace("test-cluster", "other-cluster")),
      )(world);
      return () => {
        edit(configPath, () => config);
        return repair();
      };
    },
  },
  {
    id: "registry-symlink",
    title: "A symbolic link in place of the registry before a start: refused",
    expect: GONE,
    cause: startedOn(({ statePath }) => {
      renameSync(statePath, `${statePath}.elsewhere`);
      symlinkSync(`${statePath}.elsewhere`, statePath);
    }),
  },
  {
    id: "registry-torn",
    title: "The registry cut in the middle before a start: refused",
    expect: GONE,
    cause: startedOn(({ statePath }) => edit(statePath, (text) => text.slice(0, text.length / 2))),
  },
  {
    id: "registry-edited",
    title: "The registry edited by hand before a start: refused",
    expect: GONE,
    cause: startedOn(({ statePath }) =>
      edit(statePath, (text) => text.replace(/"version":\s*1\b/, '"version": 9')),
    ),
  },
  {
    id: "state-directory-missing",
    title: "State directory missing before a start: refused; then restored",
    expect: GONE,
    cause: startedOn(({ statePath }) => rmSync(dirname(statePath), { recursive: true })),
  },
];
