import { afterEach, describe, expect, test } from "bun:test";
import { createServer, type Server, type Socket } from "node:net";
import { handshakeFailure } from "./failure-code.ts";

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close();
  }
});

/** The URL of a server that does this with each connection, and the end of the first one. */
async function serving(onConnection: (socket: Socket) => void) {
  const closed = Promise.withResolvers<void>();
  const connected = Promise.withResolvers<void>();
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("close", () => closed.resolve());
    socket.resume();
    connected.resolve();
    onConnection(socket);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = address === null || typeof address === "string" ? 0 : address.port;
  return { url: `https://127.0.0.1:${port}/`, closed: closed.promise, connected: connected.promise };
}

describe("the second handshake", () => {
  test("ends with its caller, and its connection with it", async () => {
    const { url, closed, connected } = await serving(() => {});
    const stop = new AbortController();
    const code = handshakeFailure(url, { serverName: "localhost" }, stop.signal);
    await connected;
    stop.abort();
    expect(await code).toBe("tls_handshake_failed");
    await closed;
  });

  test("that the server ends without a word shows no reason", async () => {
    const { url } = await serving((socket) => socket.end());
    const never = new AbortController().signal;
    expect(await handshakeFailure(url, { serverName: "localhost" }, never)).toBe("tls_handshake_failed");
  });

  test("with what does not speak TLS says so", async () => {
    const { url } = await serving((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    const never = new AbortController().signal;
    expect(await handshakeFailure(url, { serverName: "127.0.0.1" }, never)).toBe("tls_not_spoken");
  });
});
