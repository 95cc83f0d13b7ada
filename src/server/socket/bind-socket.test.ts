/** The socket's file below the handle of its directory, and what a directory that changes meanwhile cannot bring about. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ownIdentity } from "../../../test/conformance/harness.ts";
import { listenAt } from "../../../test/fakes/socket-stage.ts";
import { ServerError } from "../errors.ts";
import {
  bindSocket,
  examineSocketPath,
  openSocketDirectory,
  removeSocket,
  removeUnfinishedSockets,
  type SocketDirectory,
  type SocketFileRules,
  verifySocket,
} from "./bind-socket.ts";

let root: string;
let run: string;
let rules: SocketFileRules;
let directory: SocketDirectory;
let servers: Server[];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "socket-"));
  run = join(root, "run");
  mkdirSync(run);
  rules = { path: join(run, "kms.sock"), mode: 0o660, ...ownIdentity() };
  directory = openSocketDirectory(run, identityOf(run));
  servers = [];
});

afterEach(async () => {
  for (const server of servers) {
    await new Promise((resolve) => server.close(resolve));
  }
  directory.close();
  rmSync(root, { recursive: true, force: true });
});

function identityOf(path: string) {
  const { dev, ino } = lstatSync(path, { bigint: true });
  return { device: dev, inode: ino };
}

function codeOf(error: unknown): string {
  return error instanceof ServerError ? error.code : String(error);
}

async function bind(changed: Partial<SocketFileRules> = {}): Promise<string> {
  try {
    servers.push((await bindSocket(directory, { ...rules, ...changed }, () => {})).server);
    return "bound";
  } catch (error) {
    return codeOf(error);
  }
}

function thrownBy(action: () => unknown): string {
  try {
    action();
    return "nothing";
  } catch (error) {
    return codeOf(error);
  }
}

describe("the directory's handle", () => {
  test("is refused when the directory is another than the one that was checked", () => {
    const { device, inode } = identityOf(run);
    for (const other of [
      { device, inode: inode + 1n },
      { device: device + 1n, inode },
    ]) {
      expect(thrownBy(() => openSocketDirectory(run, other))).toBe("socket_not_verified");
    }
  });

  test("is not had through a symbolic link, nor of a file", () => {
    symlinkSync(run, join(root, "link"));
    expect(thrownBy(() => openSocketDirectory(join(root, "link"), identityOf(run)))).not.toBe("nothing");
    writeFileSync(join(root, "file"), "");
    expect(thrownBy(() => openSocketDirectory(join(root, "file"), identityOf(join(root, "file"))))).not.toBe(
      "nothing",
    );
  });
});

describe("a directory that is swapped while the socket is made", () => {
  test("the socket is made in neither", async () => {
    renameSync(run, `${run}-old`);
    mkdirSync(run);
    expect(await bind()).toBe("socket_not_verified");
    expect([readdirSync(run), readdirSync(`${run}-old`)]).toEqual([[], []]);
  });

  test("another's socket at the path is not taken for ours", async () => {
    renameSync(run, `${run}-old`);
    mkdirSync(run);
    const server = await listenAt(rules.path);
    chmodSync(rules.path, 0o660);
    servers.push(server);
    expect(await bind()).toBe("socket_not_verified");
    expect([readdirSync(run), readdirSync(`${run}-old`)]).toEqual([["kms.sock"], []]);
  });
});

describe("the socket", () => {
  test.each([[0o660], [0o600], [0o640]])("has mode %i from its first moment", async (mode) => {
    expect(await bind({ mode })).toBe("bound");
    expect(lstatSync(rules.path).mode & 0o7777).toBe(mode);
  });

  test("alone is in the directory, and the mask of the process is as before", async () => {
    const before = process.umask();
    expect(await bind()).toBe("bound");
    expect([readdirSync(run), process.umask()]).toEqual([["kms.sock"], before]);
  });

  test("takes connections paused, and a failed accept does not end it", async () => {
    const { promise, resolve } = Promise.withResolvers<Socket>();
    const { server } = await bindSocket(directory, rules, resolve);
    servers.push(server);
    const client = connect(rules.path);
    const accepted = await promise;
    expect(accepted.isPaused()).toBe(true);
    client.destroy();
    accepted.destroy();
    expect(() => server.emit("error", new Error("EMFILE"))).not.toThrow();
  });

  test("is made again only where nothing is", async () => {
    writeFileSync(rules.path, "");
    expect(await bind()).toBe("socket_occupied");
    expect(readdirSync(run)).toEqual(["kms.sock"]);
  });

  test("of another owner, group or mode, or no socket, is not verified", async () => {
    expect(await bind()).toBe("bound");
    const stat = lstatSync(rules.path, { bigint: true });
    expect(thrownBy(() => verifySocket(stat, rules))).toBe("nothing");
    for (const changed of [
      { ownerUid: rules.ownerUid + 1 },
      { groupGid: rules.groupGid + 1 },
      { mode: 0o600 },
    ]) {
      expect(thrownBy(() => verifySocket(stat, { ...rules, ...changed }))).toBe("socket_not_verified");
    }
    chmodSync(rules.path, 0o1660);
    const sticky = lstatSync(rules.path, { bigint: true });
    expect(thrownBy(() => verifySocket(sticky, rules))).toBe("socket_not_verified");
    const noSocket = lstatSync(run, { bigint: true });
    expect(thrownBy(() => verifySocket(noSocket, { ...rules, mode: Number(noSocket.mode & 0o7777n) }))).toBe(
      "socket_not_verified",
    );
  });

  test("that does not verify leaves nothing", async () => {
    expect(await bind({ groupGid: rules.groupGid + 1 })).toBe("socket_not_verified");
    expect(await bind({ ownerUid: rules.ownerUid + 1 })).toBe("socket_not_verified");
    expect(readdirSync(run)).toEqual([]);
  });

  test("is removed only when it is this one", async () => {
    expect(await bind()).toBe("bound");
    const { ino } = lstatSync(rules.path, { bigint: true });
    expect(removeSocket(directory, rules, ino + 1n)).toBe(false);
    expect(removeSocket(directory, rules, ino)).toBe(true);
    expect(removeSocket(directory, rules, ino)).toBe(false);
    writeFileSync(rules.path, "");
    const file = lstatSync(rules.path, { bigint: true }).ino;
    expect(removeSocket(directory, rules, file)).toBe(false);
    expect(readdirSync(run)).toEqual(["kms.sock"]);
  });

  test("that was left unfinished is removed, if it is ours", async () => {
    const name = join(run, ".kms.sock.0123");
    servers.push(await listenAt(name));
    removeUnfinishedSockets(directory, { ...rules, ownerUid: rules.ownerUid + 1 });
    expect(readdirSync(run)).toEqual([".kms.sock.0123"]);
    writeFileSync(join(run, ".kms.sock.file"), "");
    writeFileSync(join(run, "other"), "");
    removeUnfinishedSockets(directory, rules);
    expect(readdirSync(run).sort()).toEqual([".kms.sock.file", "other"]);
  });
});

describe("what is at the path", () => {
  const kind = async (changed: Partial<SocketFileRules> = {}): Promise<string> =>
    (await examineSocketPath(directory, { ...rules, ...changed })).kind;

  async function leaveStale(path: string): Promise<void> {
    const server = await listenAt(join(run, "s"));
    linkSync(join(run, "s"), path);
    await new Promise((resolve) => server.close(resolve));
  }

  test("nothing, and then a listener", async () => {
    expect(await kind()).toBe("nothing");
    servers.push(await listenAt(rules.path));
    expect(await kind()).toBe("live");
  });

  test("a listener, whose connection ends with the question", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const server = createServer((socket) => socket.resume().once("close", () => resolve()));
    servers.push(server);
    await new Promise<void>((listening) => server.listen(rules.path, listening));
    expect(await kind()).toBe("live");
    await promise;
  });

  test("a socket on which no process listens is stale, one of another user is not ours to judge", async () => {
    await leaveStale(rules.path);
    expect(await kind()).toBe("stale");
    expect(await kind({ ownerUid: rules.ownerUid + 1 })).toBe("foreign");
    unlinkSync(rules.path);
    writeFileSync(rules.path, "");
    expect(await kind()).toBe("foreign");
  });

  test("a socket that cannot be connected to for another reason counts as live", async () => {
    // Its name is too long to connect to, and short enough to exist.
    const path = join(run, "s".repeat(120));
    await leaveStale(path);
    expect(await kind({ path })).toBe("live");
  });
});
