/** What the socket and its lock are after a start, and which starts are refused. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { ownIdentity } from "../../../test/conformance/harness.ts";
import { listenAt, type SocketStage, socketStage } from "../../../test/fakes/socket-stage.ts";

let stage: SocketStage;
beforeEach(() => {
  stage = socketStage();
});
afterEach(() => stage.close());

describe("at start", () => {
  test("the socket has owner, group and mode, alone in its directory with the lock; the umask is as before", async () => {
    const before = process.umask();
    await stage.open();
    const stat = lstatSync(stage.path);
    expect(stat.isSocket()).toBe(true);
    expect(stat.mode & 0o7777).toBe(0o660);
    expect(stat.nlink).toBe(1);
    expect({ ownerUid: stat.uid, groupGid: stat.gid }).toEqual(ownIdentity());
    expect(readdirSync(stage.directory).sort()).toEqual(["kms.sock", "kms.sock.lock"]);
    expect(lstatSync(`${stage.path}.lock`).mode & 0o777).toBe(0o600);
    expect(process.umask()).toBe(before);
    (await stage.echo()).socket.destroy();
    expect(stage.events).toEqual([]);
  });

  test("a narrower mode is kept", async () => {
    await stage.open({ mode: 0o600 });
    expect(lstatSync(stage.path).mode & 0o7777).toBe(0o600);
  });

  test("a stale socket is removed and said", async () => {
    await stage.leaveStaleSocket();
    await stage.open();
    expect(stage.kinds()).toEqual(["stale_removed"]);
    (await stage.echo()).socket.destroy();
  });

  test("what a killed predecessor left unfinished is removed, other files are not", async () => {
    const server = await listenAt(join(stage.directory, ".kms.sock.0123456789ab"));
    renameSync(join(stage.directory, ".kms.sock.0123456789ab"), join(stage.directory, ".kms.sock.left"));
    await new Promise((resolve) => server.close(resolve));
    writeFileSync(join(stage.directory, ".kms.sock.notes"), "mine");
    await stage.open();
    expect(readdirSync(stage.directory).sort()).toEqual([".kms.sock.notes", "kms.sock", "kms.sock.lock"]);
  });

  test.each([
    ["a relative path", { path: "kms.sock" }, "socket_path_relative"],
    ["a path of 108 bytes", { path: `/${"a".repeat(107)}` }, "socket_path_too_long"],
    ["mode 0666", { mode: 0o666 }, "socket_mode_too_wide"],
    ["mode 1660", { mode: 0o1660 }, "socket_mode_too_wide"],
    ["mode 0770", { mode: 0o770 }, "socket_mode_too_wide"],
  ])("%s is refused", async (_name, changed, code) => {
    expect(await stage.refusal(changed)).toBe(code);
  });

  test("an unfit directory is refused before anything is made", async () => {
    chmodSync(stage.directory, 0o755);
    expect(await stage.refusal()).toBe("directory_wrong_mode");
    expect(readdirSync(stage.directory)).toEqual([]);
  });

  test("a live listener is refused and left alone", async () => {
    const server = await listenAt(stage.path);
    const { ino } = lstatSync(stage.path);
    expect(await stage.refusal()).toBe("socket_live");
    expect(lstatSync(stage.path).ino).toBe(ino);
    await new Promise((resolve) => server.close(resolve));
  });

  test.each([
    ["a regular file", () => writeFileSync(stage.path, "data")],
    ["a symbolic link", () => symlinkSync("/nowhere", stage.path)],
    ["a symbolic link to a socket", () => symlinkSync("/run/other.sock", stage.path)],
    ["a directory", () => mkdirSync(stage.path)],
  ])("%s is refused and left alone", async (_name, make) => {
    make();
    const before = lstatSync(stage.path);
    expect(await stage.refusal()).toBe("socket_occupied");
    expect(lstatSync(stage.path).ino).toBe(before.ino);
    expect(readdirSync(stage.directory).sort()).toEqual(["kms.sock", "kms.sock.lock"]);
  });

  test.each([
    ["a symbolic link", () => symlinkSync("/etc/passwd", `${stage.path}.lock`)],
    ["a directory", () => mkdirSync(`${stage.path}.lock`)],
    [
      "a file with a second name",
      () => {
        writeFileSync(join(stage.directory, "elsewhere"), "");
        linkSync(join(stage.directory, "elsewhere"), `${stage.path}.lock`);
      },
    ],
  ])("a lock that is %s is refused", async (_name, make) => {
    make();
    expect(await stage.refusal()).toBe("lock_not_ours");
  });

  test("a second instance is refused and does not disturb the first", async () => {
    await stage.open();
    const { ino } = lstatSync(stage.path);
    const { socket, say } = await stage.echo();
    expect(await stage.refusal()).toBe("instance_running");
    expect(lstatSync(stage.path).ino).toBe(ino);
    expect(await say("still")).toBe("still");
    socket.destroy();
    await Bun.sleep(20);
    expect(stage.events).toEqual([]);
  });

  test("the kernel releases the lock of an instance that was killed", async () => {
    const holder = Bun.spawn({
      cmd: [
        process.execPath,
        "-e",
        `const { Database } = require("bun:sqlite"); const d = new Database(${JSON.stringify(`${stage.path}.lock`)}, { create: true });
         d.run("BEGIN EXCLUSIVE"); console.log("held"); setInterval(() => {}, 1000);`,
      ],
      stdout: "pipe",
    });
    const reader = holder.stdout.getReader();
    await reader.read();
    expect(await stage.refusal()).toBe("instance_running");
    holder.kill("SIGKILL");
    await holder.exited;
    expect(await stage.refusal()).toBe("opened");
  });
});

test("a start that is refused, and a socket that is closed, leave no lock and no descriptor", async () => {
  let locks = 0;
  const tryLock = () => {
    locks += 1;
    return {
      release: () => {
        locks -= 1;
      },
    };
  };
  /** Those of sockets and of the directory. */
  const descriptors = (): number =>
    readdirSync("/proc/self/fd").filter((fd) => {
      try {
        const target = readlinkSync(`/proc/self/fd/${fd}`);
        return target.startsWith("socket:") || target === stage.directory;
      } catch {
        return false;
      }
    }).length;
  const settled = async (count: number): Promise<number> => {
    for (let waits = 0; waits < 200 && descriptors() !== count; waits += 1) {
      await Bun.sleep(5);
    }
    return descriptors();
  };
  const before = descriptors();
  writeFileSync(stage.path, "");
  expect(await stage.refusal({ tryLock })).toBe("socket_occupied");
  expect({ locks, descriptors: await settled(before) }).toEqual({ locks: 0, descriptors: before });
  rmSync(stage.path);
  const socket = await stage.open({ tryLock });
  expect(locks).toBe(1);
  expect(descriptors()).toBeGreaterThan(before);
  await socket.close();
  expect({ locks, descriptors: await settled(before) }).toEqual({ locks: 0, descriptors: before });
});
