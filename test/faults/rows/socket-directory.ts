/** The directory of the socket, changed under a running provider. */
import { chmodSync, chownSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { makeSocketDirectory } from "../../fakes/socket-directory.ts";
import { eventually } from "../../harness/eventually.ts";
import { type Fault, FINE } from "../fault.ts";
import type { World } from "../world.ts";

const STRANGER_UID = 12_345;

const socketMade = ({ provider }: World): Promise<unknown> =>
  eventually("a socket is made", () => Bun.file(provider.socketPath).stat(), { timeoutMs: 10_000 });

const directoryOf = ({ provider }: World): string => dirname(provider.socketPath);

/** Until /ready reports that no new caller could connect. */
const untilSeen = ({ provider }: World): Promise<boolean> =>
  eventually("it is seen", async () => (await provider.health("/ready")).status === 503, {
    timeoutMs: 10_000,
  });

const remade = (world: World, gid: number): void => {
  rmSync(directoryOf(world), { recursive: true, force: true });
  makeSocketDirectory(directoryOf(world), gid);
};

/** Of all these: open connections continue, and only new ones may fail. */
export const socketDirectory: readonly Fault[] = [
  {
    id: "socket-removed",
    title: "Socket file removed: made again",
    expect: FINE,
    cause: async (world) => {
      rmSync(world.provider.socketPath);
      await socketMade(world);
    },
  },
  {
    id: "socket-directory-removed",
    title: "Directory removed, and made again as tmpfiles.d does: the socket comes back in it",
    expect: FINE,
    cause: async (world) => {
      const { gid } = statSync(directoryOf(world));
      rmSync(directoryOf(world), { recursive: true });
      await untilSeen(world);
      return () => remade(world, gid);
    },
  },
  {
    id: "socket-directory-open",
    title: "Directory made writable for all, and closed again",
    expect: FINE,
    cause: async (world) => {
      chmodSync(directoryOf(world), 0o2777);
      await untilSeen(world);
      return () => chmodSync(directoryOf(world), 0o2750);
    },
  },
  {
    id: "socket-directory-owner",
    title: "Directory given to another user, and back",
    expect: FINE,
    root: true,
    cause: async (world) => {
      const { uid, gid } = statSync(directoryOf(world));
      chownSync(directoryOf(world), STRANGER_UID, gid);
      await untilSeen(world);
      return () => {
        chownSync(directoryOf(world), uid, gid);
        chmodSync(directoryOf(world), 0o2750);
      };
    },
  },
  {
    id: "socket-directory-replaced",
    title: "Directory moved away and another one put in its place: a socket is made in the new one",
    expect: FINE,
    cause: async (world) => {
      const directory = directoryOf(world);
      const { gid } = statSync(directory);
      renameSync(directory, `${directory}.aside`);
      makeSocketDirectory(directory, gid);
      await socketMade(world);
      return () => rmSync(`${directory}.aside`, { recursive: true, force: true });
    },
  },
];
