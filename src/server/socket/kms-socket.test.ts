/** What happens to the socket's file and directory while it is open, and what stays at its end. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { listenAt, type SocketStage, socketStage } from "../../../test/fakes/socket-stage.ts";
import { eventually } from "../../../test/harness/eventually.ts";

let stage: SocketStage;
beforeEach(() => {
  stage = socketStage();
});
afterEach(() => stage.close());

const until = (what: string, holds: () => boolean): Promise<boolean> =>
  eventually(what, holds, { timeoutMs: 2000, everyMs: 5 });

describe("while running", () => {
  test("a socket that vanishes is made again, open connections go on", async () => {
    const socket = await stage.open();
    const { socket: client, say } = await stage.echo();
    unlinkSync(stage.path);
    await until("restarted", () => existsSync(stage.path) && stage.events.length > 0);
    expect(stage.kinds()).toEqual(["restarted"]);
    expect(await say("kept")).toBe("kept");
    client.destroy();
    (await stage.echo()).socket.destroy();
    expect(socket.problem).toBeUndefined();
  });

  test("a socket whose mode was changed is made again", async () => {
    await stage.open();
    chmodSync(stage.path, 0o666);
    await until("restarted", () => stage.events.length > 0);
    expect(lstatSync(stage.path).mode & 0o7777).toBe(0o660);
    (await stage.echo()).socket.destroy();
  });

  test.skipIf(process.getuid?.() !== 0)(
    "a socket whose group was changed is made again (needs root to change it)",
    async () => {
      await stage.open();
      const { gid } = lstatSync(stage.path);
      chownSync(stage.path, 0, gid + 1);
      await until("restarted", () => stage.events.length > 0);
      expect(lstatSync(stage.path).gid).toBe(gid);
    },
  );

  test("an unsafe directory: not ready, no new socket, connections kept; then ready again", async () => {
    const socket = await stage.open();
    const { socket: client, say } = await stage.echo();
    chmodSync(stage.directory, 0o2770);
    await until("not ready", () => socket.problem !== undefined);
    expect(socket.problem?.code).toBe("directory_wrong_mode");
    unlinkSync(stage.path);
    await Bun.sleep(30);
    expect(existsSync(stage.path)).toBe(false);
    expect(await say("kept")).toBe("kept");
    chmodSync(stage.directory, 0o2750);
    await until("ready", () => socket.problem === undefined);
    expect(stage.kinds()).toEqual(["not_ready", "restarted", "ready"]);
    client.destroy();
    (await stage.echo()).socket.destroy();
  });

  test("a directory that is removed and made again", async () => {
    const socket = await stage.open();
    renameSync(stage.directory, `${stage.directory}-old`);
    await until("not ready", () => socket.problem?.code === "directory_missing");
    mkdirSync(stage.directory);
    chmodSync(stage.directory, 0o2750);
    await until("ready", () => socket.problem === undefined);
    expect(stage.kinds()).toEqual(["not_ready", "restarted", "ready"]);
    (await stage.echo()).socket.destroy();
    expect(readdirSync(`${stage.directory}-old`)).toEqual(["kms.sock.lock"]);
    rmSync(`${stage.directory}-old`, { recursive: true });
  });

  test("a file that another process put there stays, also at the end", async () => {
    const socket = await stage.open();
    unlinkSync(stage.path);
    writeFileSync(stage.path, "not ours");
    await until("not ready", () => socket.problem?.code === "socket_occupied");
    await socket.close();
    expect(readFileSync(stage.path, "utf8")).toBe("not ours");
  });
});

describe("at the end", () => {
  test("the socket is gone, the lock is free, connections stay open for the drain", async () => {
    const socket = await stage.open();
    const { socket: client, say } = await stage.echo();
    await socket.close();
    expect(readdirSync(stage.directory)).toEqual(["kms.sock.lock"]);
    expect(await say("kept")).toBe("kept");
    client.destroy();
    await stage.open();
  });

  test("another's socket at the path is not removed", async () => {
    const socket = await stage.open({ watchIntervalMs: 60_000 });
    unlinkSync(stage.path);
    const server = await listenAt(stage.path);
    const { ino } = lstatSync(stage.path);
    await socket.close();
    expect(lstatSync(stage.path).ino).toBe(ino);
    await new Promise((resolve) => server.close(resolve));
  });
});
