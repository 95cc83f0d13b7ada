/**
 * @module A private socket directory, and the KMS socket in it as a test wants it: opened, refused, stale, spoken to. For the
 * tests of src/server/socket/kms-socket.ts. What is accepted is echoed.
 */
import { linkSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { trySqliteLock } from "../../src/key/registry/writer-lock.ts";
import { ServerError } from "../../src/server/errors.ts";
import {
  type KmsSocket,
  type KmsSocketOptions,
  openKmsSocket,
  type SocketEvent,
} from "../../src/server/socket/kms-socket.ts";
import { ownIdentity, socketDirectory } from "../conformance/harness.ts";

export function socketStage() {
  const directory = socketDirectory();
  const path = join(directory, "kms.sock");
  const events: SocketEvent[] = [];
  const opened: KmsSocket[] = [];
  const accepted: Socket[] = [];
  const open = async (changed: Partial<KmsSocketOptions> = {}): Promise<KmsSocket> => {
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
  };
  return {
    directory,
    path,
    events,
    kinds: () => events.map((event) => event.kind),
    open,
    /** The code with which opening is refused, or `opened`. */
    refusal: async (changed?: Partial<KmsSocketOptions>) => {
      try {
        await open(changed);
        return "opened";
      } catch (error) {
        return error instanceof ServerError ? error.code : String(error);
      }
    },
    /** A connection that has been answered; rejects when no process answers. */
    echo: async () => {
      const socket = connect(path);
      /** Sends a text and gives what comes back. */
      const say = (text: string) =>
        new Promise<string>((resolve, reject) => {
          socket.once("data", (data) => resolve(String(data)));
          socket.once("error", reject);
          socket.write(text);
        });
      if ((await say("ping")) !== "ping") {
        throw new Error("the echo is another text");
      }
      return { socket, say };
    },
    /** Leaves a socket file on which no process listens. */
    leaveStaleSocket: async () => {
      const server = await listenAt(`${path}.tmp`);
      linkSync(`${path}.tmp`, path);
      await new Promise((resolve) => server.close(resolve));
    },
    close: async () => {
      for (const each of opened) {
        await each.close();
      }
      for (const each of accepted) {
        each.destroy();
      }
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export type SocketStage = ReturnType<typeof socketStage>;

/** Another process's listener. */
export function listenAt(path: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((each) => each.destroy());
    server.once("error", reject);
    server.listen(path, () => resolve(server));
  });
}
