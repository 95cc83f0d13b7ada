/**
 * A real unprivileged user against the socket's directory, in a loop, while the provider opens and closes its socket.
 *
 * The attacker is a process of another uid that is a member of the socket's group, which is the most that a caller is given.
 */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { trySqliteLock } from "../../src/registry/writer-lock.ts";
import { ServerError } from "../../src/server/errors.ts";
import { openKmsSocket } from "../../src/server/kms-socket.ts";

const ATTACKER_UID = 54_321;
const SOCKET_GID = 54_322;
const ROUNDS = 100;

let root: string;
let directory: string;
let path: string;
/** Where the attacker may write, and notes what it achieved. */
let lair: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "attack-"));
  chmodSync(root, 0o755);
  directory = join(root, "run");
  lair = join(root, "lair");
  path = join(directory, "kms.sock");
  mkdirSync(directory);
  chownSync(directory, process.getuid?.() ?? 0, SOCKET_GID);
  chmodSync(directory, 0o2750);
  mkdirSync(lair, { mode: 0o777 });
  chownSync(lair, ATTACKER_UID, SOCKET_GID);
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

/** Runs a shell loop as the attacker until the returned function is called. */
async function attack(commands: string): Promise<() => Promise<void>> {
  const script = join(root, "attack.sh");
  writeFileSync(script, `cd ${lair}\n: > started\nwhile [ ! -e stop ]; do\n${commands}\ndone 2>/dev/null\n`);
  const attacker = Bun.spawn({
    cmd: ["setpriv", `--reuid=${ATTACKER_UID}`, `--regid=${SOCKET_GID}`, "--clear-groups", "/bin/sh", script],
    stdout: "ignore",
    stderr: "ignore",
  });
  while (!existsSync(join(lair, "started"))) {
    await Bun.sleep(2);
  }
  return async () => {
    writeFileSync(join(lair, "stop"), "");
    await attacker.exited;
  };
}

function whatWasDone(): string {
  const notes = join(lair, "done");
  return existsSync(notes) ? readFileSync(notes, "utf8") : "";
}

/** One start and stop; the code of the refusal, or what was made. */
async function startOnce(): Promise<string> {
  try {
    const socket = await openKmsSocket({
      path,
      mode: 0o660,
      ownerUid: process.getuid?.() ?? 0,
      groupGid: SOCKET_GID,
      ownerName: "provider",
      groupName: "sockets",
      accept: (each) => each.destroy(),
      tryLock: trySqliteLock,
      clock: systemClock,
      watchIntervalMs: 60_000,
      onEvent: () => {},
    });
    const stat = lstatSync(path);
    await socket.close();
    return `${stat.isSocket() ? "socket" : "other"} ${stat.uid}:${stat.gid} ${(stat.mode & 0o7777).toString(8)}`;
  } catch (error) {
    return error instanceof ServerError ? error.code : String(error);
  }
}

const canAttack = process.getuid?.() === 0 && Bun.which("setpriv") !== null;

describe.skipIf(!canAttack)("an unprivileged user (needs root and setpriv to become one)", () => {
  test("cannot put, replace or remove anything in the directory, nor replace it", async () => {
    const stop = await attack(`
      rm ${path} && echo removed >> done
      rm ${path}.lock && echo removed the lock >> done
      ln -s /etc/passwd ${path} && echo linked >> done
      ln ${path} ${directory}/second && echo hardlinked >> done
      mv ${directory} ${directory}-old && echo moved >> done
      : > ${directory}/.kms.sock.x && echo made >> done
      chmod 777 ${path} ${directory} && echo chmodded >> done`);
    for (let round = 0; round < ROUNDS; round += 1) {
      expect(await startOnce()).toBe(`socket 0:${SOCKET_GID} 660`);
    }
    await stop();
    expect(whatWasDone()).toBe("");
  });

  test("who may write above the directory makes every start fail closed, and no socket lands where they choose", async () => {
    chmodSync(root, 0o777);
    const stop = await attack(`
      mkdir trap; chmod 2750 trap
      mv ${directory} good; ln -s ${lair}/trap ${directory}; rm -f ${directory}; mv good ${directory}
      ls trap/* && echo trapped >> done`);
    for (let round = 0; round < ROUNDS; round += 1) {
      expect(await startOnce()).toBe("ancestor_writable");
    }
    await stop();
    expect(whatWasDone()).toBe("");
  });
});

test.skipIf(canAttack)("the attacks above were skipped: they need root and setpriv", () => {
  expect(canAttack).toBe(false);
});
