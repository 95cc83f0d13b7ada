import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { ownIdentity, socketDirectory } from "../../test/conformance/harness.ts";
import { systemClock } from "../base/clock.ts";
import { trySqliteLock } from "../registry/writer-lock.ts";
import { ServerError } from "./errors.ts";
import { type KmsSocket, type KmsSocketOptions, openKmsSocket, type SocketEvent } from "./kms-socket.ts";

let directory: string;
let path: string;
let events: SocketEvent[];
const opened: KmsSocket[] = [];
const accepted: Socket[] = [];

beforeEach(() => {
  directory = socketDirectory();
  path = join(directory, "kms.sock");
  events = [];
});

afterEach(async () => {
  for (const each of opened.splice(0)) {
    await each.close();
  }
  for (const each of accepted.splice(0)) {
    each.destroy();
  }
  rmSync(directory, { recursive: true, force: true });
});

async function open(changed: Partial<KmsSocketOptions> = {}): Promise<KmsSocket> {
  const socket = await openKmsSocket({
    path,
    mode: 0o660,
    ...ownIdentity(),
    ownerName: "provider",
    groupName: "group",
    accept: (each) => {
      accepted.push(each);
      each.on("error", () => {});
      each.pipe(each);
    },
    tryLock: trySqliteLock,
    clock: systemClock,
    watchIntervalMs: 5,
    onEvent: (event) => events.push(event),
    ...changed,
  });
  opened.push(socket);
  return socket;
}

async function refusal(changed: Partial<KmsSocketOptions> = {}): Promise<string> {
  try {
    await open(changed);
    return "opened";
  } catch (error) {
    return error instanceof ServerError ? error.code : String(error);
  }
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 400; turn += 1) {
    if (holds()) {
      return;
    }
    await Bun.sleep(5);
  }
  throw new Error(`never: ${what}`);
}

const kinds = () => events.map((event) => event.kind);

/** Connects and sends bytes round; rejects when nobody answers. */
async function echo(
  text = "ping",
): Promise<{ readonly socket: Socket; readonly say: (next: string) => Promise<string> }> {
  const socket = connect(path);
  const say = (next: string) =>
    new Promise<string>((resolve, reject) => {
      socket.once("data", (data) => resolve(String(data)));
      socket.once("error", reject);
      socket.write(next);
    });
  expect(await say(text)).toBe(text);
  return { socket, say };
}

/** A socket file on which nobody listens. */
async function leaveStaleSocket(): Promise<void> {
  const server = await listenAt(`${path}.tmp`);
  linkSync(`${path}.tmp`, path);
  await new Promise((resolve) => server.close(resolve));
}

function listenAt(where: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((each) => each.destroy());
    server.once("error", reject);
    server.listen(where, () => resolve(server));
  });
}

describe("at start", () => {
  test("the socket has owner, group and mode, alone in its directory with the lock; the umask is as before", async () => {
    const before = process.umask();
    await open();
    const stat = lstatSync(path);
    expect(stat.isSocket()).toBe(true);
    expect(stat.mode & 0o7777).toBe(0o660);
    expect(stat.nlink).toBe(1);
    expect({ ownerUid: stat.uid, groupGid: stat.gid }).toEqual(ownIdentity());
    expect(readdirSync(directory).sort()).toEqual(["kms.sock", "kms.sock.lock"]);
    expect(lstatSync(`${path}.lock`).mode & 0o777).toBe(0o600);
    expect(process.umask()).toBe(before);
    (await echo()).socket.destroy();
    expect(events).toEqual([]);
  });

  test("a narrower mode is kept", async () => {
    await open({ mode: 0o600 });
    expect(lstatSync(path).mode & 0o7777).toBe(0o600);
  });

  test("a stale socket is removed and said", async () => {
    await leaveStaleSocket();
    await open();
    expect(kinds()).toEqual(["stale_removed"]);
    (await echo()).socket.destroy();
  });

  test("what a killed predecessor left unfinished is removed, other files are not", async () => {
    const server = await listenAt(join(directory, ".kms.sock.0123456789ab"));
    renameSync(join(directory, ".kms.sock.0123456789ab"), join(directory, ".kms.sock.left"));
    await new Promise((resolve) => server.close(resolve));
    writeFileSync(join(directory, ".kms.sock.notes"), "mine");
    await open();
    expect(readdirSync(directory).sort()).toEqual([".kms.sock.notes", "kms.sock", "kms.sock.lock"]);
  });

  test.each([
    ["a relative path", { path: "kms.sock" }, "socket_path_relative"],
    ["a path of 108 bytes", { path: `/${"a".repeat(107)}` }, "socket_path_too_long"],
    ["mode 0666", { mode: 0o666 }, "socket_mode_too_wide"],
    ["mode 1660", { mode: 0o1660 }, "socket_mode_too_wide"],
    ["mode 0770", { mode: 0o770 }, "socket_mode_too_wide"],
  ])("%s is refused", async (_name, changed, code) => {
    expect(await refusal(changed)).toBe(code);
  });

  test("an unfit directory is refused before anything is made", async () => {
    chmodSync(directory, 0o755);
    expect(await refusal()).toBe("directory_wrong_mode");
    expect(readdirSync(directory)).toEqual([]);
  });

  test("a live listener is refused and left alone", async () => {
    const server = await listenAt(path);
    const { ino } = lstatSync(path);
    expect(await refusal()).toBe("socket_live");
    expect(lstatSync(path).ino).toBe(ino);
    await new Promise((resolve) => server.close(resolve));
  });

  test.each([
    ["a regular file", () => writeFileSync(path, "data")],
    ["a symbolic link", () => symlinkSync("/nowhere", path)],
    ["a symbolic link to a socket", () => symlinkSync("/run/other.sock", path)],
    ["a directory", () => mkdirSync(path)],
  ])("%s is refused and left alone", async (_name, make) => {
    make();
    const before = lstatSync(path);
    expect(await refusal()).toBe("socket_occupied");
    expect(lstatSync(path).ino).toBe(before.ino);
    expect(readdirSync(directory).sort()).toEqual(["kms.sock", "kms.sock.lock"]);
  });

  test.each([
    ["a symbolic link", () => symlinkSync("/etc/passwd", `${path}.lock`)],
    ["a directory", () => mkdirSync(`${path}.lock`)],
    [
      "a file with a second name",
      () => {
        writeFileSync(join(directory, "elsewhere"), "");
        linkSync(join(directory, "elsewhere"), `${path}.lock`);
      },
    ],
  ])("a lock that is %s is refused", async (_name, make) => {
    make();
    expect(await refusal()).toBe("lock_not_ours");
  });

  test("a second instance is refused and does not disturb the first", async () => {
    await open();
    const { ino } = lstatSync(path);
    const { socket, say } = await echo();
    expect(await refusal()).toBe("instance_running");
    expect(lstatSync(path).ino).toBe(ino);
    expect(await say("still")).toBe("still");
    socket.destroy();
    await Bun.sleep(20);
    expect(events).toEqual([]);
  });

  test("the kernel releases the lock of an instance that was killed", async () => {
    const holder = Bun.spawn({
      cmd: [
        process.execPath,
        "-e",
        `const { Database } = require("bun:sqlite"); const d = new Database(${JSON.stringify(`${path}.lock`)}, { create: true });
         d.run("BEGIN EXCLUSIVE"); console.log("held"); setInterval(() => {}, 1000);`,
      ],
      stdout: "pipe",
    });
    const reader = holder.stdout.getReader();
    await reader.read();
    expect(await refusal()).toBe("instance_running");
    holder.kill("SIGKILL");
    await holder.exited;
    expect(await refusal()).toBe("opened");
  });
});

describe("while running", () => {
  test("a socket that vanishes is made again, open connections go on", async () => {
    const socket = await open();
    const { socket: client, say } = await echo();
    unlinkSync(path);
    await until("restarted", () => existsSync(path) && events.length > 0);
    expect(kinds()).toEqual(["restarted"]);
    expect(await say("kept")).toBe("kept");
    client.destroy();
    (await echo()).socket.destroy();
    expect(socket.problem).toBeUndefined();
  });

  test("a socket whose mode was changed is made again", async () => {
    await open();
    chmodSync(path, 0o666);
    await until("restarted", () => events.length > 0);
    expect(lstatSync(path).mode & 0o7777).toBe(0o660);
    (await echo()).socket.destroy();
  });

  test("an unsafe directory: not ready, no new socket, connections kept; then ready again", async () => {
    const socket = await open();
    const { socket: client, say } = await echo();
    chmodSync(directory, 0o2770);
    await until("not ready", () => socket.problem !== undefined);
    expect(socket.problem?.code).toBe("directory_wrong_mode");
    unlinkSync(path);
    await Bun.sleep(30);
    expect(existsSync(path)).toBe(false);
    expect(await say("kept")).toBe("kept");
    chmodSync(directory, 0o2750);
    await until("ready", () => socket.problem === undefined);
    expect(kinds()).toEqual(["not_ready", "restarted", "ready"]);
    client.destroy();
    (await echo()).socket.destroy();
  });

  test("a directory that is removed and made again", async () => {
    const socket = await open();
    renameSync(directory, `${directory}-old`);
    await until("not ready", () => socket.problem?.code === "directory_missing");
    mkdirSync(directory);
    chmodSync(directory, 0o2750);
    await until("ready", () => socket.problem === undefined);
    expect(kinds()).toEqual(["not_ready", "restarted", "ready"]);
    (await echo()).socket.destroy();
    expect(readdirSync(`${directory}-old`)).toEqual(["kms.sock.lock"]);
    rmSync(`${directory}-old`, { recursive: true });
  });

  test("a file that somebody else put there stays, also at the end", async () => {
    const socket = await open();
    unlinkSync(path);
    writeFileSync(path, "not ours");
    await until("not ready", () => socket.problem?.code === "socket_occupied");
    await socket.close();
    expect(readFileSync(path, "utf8")).toBe("not ours");
  });
});

describe("at the end", () => {
  test("the socket is gone, the lock is free, connections stay to whoever drains them", async () => {
    const socket = await open();
    const { socket: client, say } = await echo();
    await socket.close();
    expect(readdirSync(directory)).toEqual(["kms.sock.lock"]);
    expect(await say("kept")).toBe("kept");
    client.destroy();
    await open();
  });

  test("another's socket at the path is not removed", async () => {
    const socket = await open({ watchIntervalMs: 60_000 });
    unlinkSync(path);
    const server = await listenAt(path);
    const { ino } = lstatSync(path);
    await socket.close();
    expect(lstatSync(path).ino).toBe(ino);
    await new Promise((resolve) => server.close(resolve));
  });
});
