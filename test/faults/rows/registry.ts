/** The registry's file, its directory and the file system under them. */
import {
  closeSync,
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
import { type Fault, FINE, GONE } from "../fault.ts";
import { run, type World } from "../world.ts";

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

/** Served under the old version while the new one cannot be recorded; promoted as soon as it can. */
const rotatedWhile = (id: string, title: string, hinder: (world: World) => () => unknown): Fault => ({
  id,
  title,
  root: true,
  expect: { ...FINE, status: "any", keyId: "moves" },
  cause: async (world) => {
    const before = world.load.keyId();
    const free = hinder(world);
    const promoted = await world.rotate();
    await Bun.sleep(2500);
    if (world.load.keyId() !== before) {
      throw new Error("a version was promoted that could not be recorded");
    }
    return async () => {
      await free();
      await promoted();
    };
  },
});

const files = ({ statePath }: World): readonly string[] => [statePath, `${statePath}.checkpoint`];

const writtenAgain = ({ statePath }: World): Promise<boolean> =>
  eventually("the registry is written again", () => Bun.file(statePath).exists(), { timeoutMs: 20_000 });

/** What is put in place of the registry while the provider is down must not be taken; then the right one is back. */
const startedOn = async (world: World, spoil: (world: World) => unknown) => {
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

const refused = (id: string, title: string, spoil: (world: World) => unknown): Fault => ({
  id,
  title,
  expect: GONE,
  cause: (world) => startedOn(world, spoil),
});

const edit = (path: string, change: (text: string) => string): void =>
  writeFileSync(path, change(readFileSync(path, "utf8")), { mode: 0o600 });

/** Puts a copy in the place of a file in one step. */
const put = (path: string, content: Uint8Array): void => {
  writeFileSync(`${path}.put`, content, { mode: 0o600 });
  renameSync(`${path}.put`, path);
};

export const registry: readonly Fault[] = [
  rotatedWhile(
    "disk-full",
    "Disk full while the key is rotated: served on under the old version, promoted when there is room",
    ({ statePath }) => fill(dirname(statePath)),
  ),
  rotatedWhile(
    "disk-read-only",
    "File system remounted read-only while the key is rotated: the same",
    ({ statePath }) => {
      const mount = dirname(dirname(statePath));
      run("mount", "-o", "remount,ro", mount);
      return () => run("mount", "-o", "remount,rw", mount);
    },
  ),
  {
    id: "state-directory-removed",
    title: "State directory removed under a running provider, and made again empty",
    expect: { ...FINE, status: "any" },
    shortMs: 1500,
    cause: (world) => {
      const directory = dirname(world.statePath);
      rmSync(directory, { recursive: true });
      return async () => {
        mkdirSync(directory, { mode: 0o750 });
        await writtenAgain(world);
      };
    },
  },
  {
    id: "registry-removed",
    title: "Registry and checkpoint removed under a running provider: written again from memory",
    expect: FINE,
    cause: async (world) => {
      files(world).forEach((path) => rmSync(path));
      await writtenAgain(world);
    },
  },
  {
    id: "registry-older-copy",
    title: "An older copy put back before a start: refused; then the right one",
    expect: { ...GONE, keyId: "moves" },
    cause: async (world) => {
      const older = readFileSync(world.statePath);
      await (await world.rotate())();
      return startedOn(world, ({ statePath }) => put(statePath, older));
    },
  },
  {
    id: "registry-older-copy-running",
    title: "An older copy put in place under a running provider: the loaded one stays in use",
    expect: { ...FINE, status: "any", keyId: "moves" },
    shortMs: 1500,
    cause: async ({ statePath, rotate }) => {
      const older = readFileSync(statePath);
      await (await rotate())();
      await Bun.sleep(300);
      const newer = readFileSync(statePath);
      put(statePath, older);
      return () => put(statePath, newer);
    },
  },
  {
    id: "registry-other-identity",
    title: "The registry of another cluster's node before a start: refused",
    expect: GONE,
    cause: async (world) => {
      const { configPath } = world.provider;
      const config = readFileSync(configPath, "utf8");
      const repair = await startedOn(world, () =>
        edit(configPath, (text) => text.replace("test-cluster", "other-cluster")),
      );
      return () => {
        edit(configPath, () => config);
        return repair();
      };
    },
  },
  refused(
    "registry-symlink",
    "A symbolic link in place of the registry before a start: refused",
    ({ statePath }) => {
      renameSync(statePath, `${statePath}.elsewhere`);
      symlinkSync(`${statePath}.elsewhere`, statePath);
    },
  ),
  refused("registry-torn", "The registry cut in the middle before a start: refused", ({ statePath }) =>
    edit(statePath, (text) => text.slice(0, text.length / 2)),
  ),
  refused("registry-edited", "The registry edited by hand before a start: refused", ({ statePath }) =>
    edit(statePath, (text) => text.replace(/"version":\s*1\b/, '"version": 9')),
  ),
  refused(
    "state-directory-missing",
    "State directory missing before a start: refused; then restored",
    ({ statePath }) => rmSync(dirname(statePath), { recursive: true }),
  ),
];
