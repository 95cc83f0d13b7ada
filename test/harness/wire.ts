/**
 * @module The network between provider and OpenBao: a relay of bytes that can lose, delay, cut and invent. TCP only; TLS
 * passes through it untouched, so that nothing of the provider's trust is bent for the tests.
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

export type Route =
  /** Everything passes, to OpenBao or to another port. */
  | { readonly kind: "to"; readonly port: number }
  /** No process listens. */
  | { readonly kind: "refused" }
  /** Connections are accepted and reset at the first byte. */
  | { readonly kind: "reset" }
  /** Connections stay, and no byte arrives any more in either direction. */
  | { readonly kind: "half-open" }
  /** Bytes that are no TLS. */
  | { readonly kind: "garbage" }
  /** What OpenBao sends arrives at this rate. */
  | { readonly kind: "slow"; readonly bytesPerSecond: number };

export interface Wire {
  readonly port: number;
  readonly route: (route: Route) => Promise<void>;
  /** Everything to OpenBao again. */
  readonly repair: () => Promise<void>;
  readonly close: () => Promise<void>;
}

const GARBAGE_BYTES = 4096;

/** Listens on `host` (default 127.0.0.1), on `port` or one of the system's choice. */
export async function openWire(openbaoPort: number, host = "127.0.0.1", port = 0): Promise<Wire> {
  const straight: Route = { kind: "to", port: openbaoPort };
  const sockets = new Set<Socket>();
  let route: Route = straight;
  let server: Server | undefined;
  let bound = port;

  const track = (socket: Socket): Socket => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    return socket.once("close", () => sockets.delete(socket));
  };
  const relay = (client: Socket, to: number, bytesPerSecond?: number): void => {
    const upstream = track(connect(to, "127.0.0.1"));
    client.on("data", (bytes) => route.kind !== "half-open" && upstream.write(bytes));
    upstream.on("data", (bytes: Buffer) => {
      if (route.kind === "half-open") {
        return;
      }
      if (bytesPerSecond === undefined) {
        client.write(bytes);
      } else {
        void trickle(client, bytes, bytesPerSecond);
      }
    });
    const cut = (): void => {
      if (route.kind !== "half-open") {
        client.destroy();
        upstream.destroy();
      }
    };
    client.once("close", cut);
    upstream.once("close", cut);
  };
  const accept = (client: Socket): void => {
    track(client);
    switch (route.kind) {
      case "to":
        relay(client, route.port);
        break;
      case "slow":
        relay(client, openbaoPort, route.bytesPerSecond);
        break;
      case "reset":
        client.once("data", () => client.resetAndDestroy());
        break;
      case "garbage":
        client.once("data", () => client.write(randomBytes(GARBAGE_BYTES)));
        break;
      case "half-open":
        client.resume();
        break;
      case "refused":
        client.destroy();
    }
  };
  const listen = async (): Promise<void> => {
    server = createServer(accept).listen(bound, host);
    await once(server, "listening");
    const address = server.address();
    bound = address !== null && typeof address === "object" ? address.port : bound;
  };
  const unlisten = async (): Promise<void> => {
    const closing = server;
    server = undefined;
    await new Promise<void>((resolve) => {
      if (closing === undefined) {
        resolve();
      }
      closing?.close(() => resolve());
      for (const socket of sockets) {
        socket.destroy();
      }
    });
  };
  const change = async (next: Route): Promise<void> => {
    route = next;
    if (next.kind === "half-open") {
      return;
    }
    for (const socket of sockets) {
      socket.destroy();
    }
    if (next.kind === "refused") {
      await unlisten();
    } else if (server === undefined) {
      await listen();
    }
  };
  await listen();
  return { port: bound, route: change, repair: () => change(straight), close: unlisten };
}

async function trickle(client: Socket, bytes: Buffer, bytesPerSecond: number): Promise<void> {
  for (const byte of bytes) {
    if (client.destroyed) {
      return;
    }
    client.write(Buffer.of(byte));
    await Bun.sleep(1000 / bytesPerSecond);
  }
}
