/**
 * @module The stand-in behind TLS on a loopback port, with a certificate authority of its own. Socket mount: what only a real
 * connection can do (reset, tear, trickle, hang) is done here.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { Socket } from "node:net";
import { type Leaf, makeTestCa } from "../tls/test-ca.ts";
import type { FakeRequest } from "./call.ts";
import { type Fault, type WireReply, wireReply } from "./faults.ts";
import type { Reply } from "./reply.ts";

interface Answer {
  readonly reply: Reply;
  readonly fault: Fault | undefined;
}

export interface Handler {
  readonly handle: (request: FakeRequest) => Answer | Promise<Answer>;
}

export interface FakeServerOptions {
  /** Default: chosen by the system. Given again after `stop`, the server comes back where it was. */
  readonly port?: number;
  /** Default: a new CA and a leaf for `localhost` and 127.0.0.1. */
  readonly tls?: { readonly caPem: string; readonly leaf: Leaf };
  readonly now?: () => number;
}

/** No request of a KMS provider comes near this. */
const MAX_REQUEST_BYTES = 4 << 20;

export async function serveFakeOpenBao(openbao: Handler, options: FakeServerOptions = {}) {
  const tls = options.tls ?? (await freshTls());
  const now = options.now ?? Date.now;
  const sockets = new Set<Socket>();
  const server = createServer({ key: tls.leaf.keyPem, cert: tls.leaf.chainPem }, (request, response) => {
    readBody(request)
      .then((body) => reply(openbao, request, response, body, now))
      .catch(() => request.socket.destroy());
  });
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.once("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, "127.0.0.1", resolve);
  });
  const bound = server.address();
  if (bound === null || typeof bound === "string") {
    throw new Error("the server has no port");
  }
  const { port } = bound;
  return {
    /** `https://127.0.0.1:port`, to be verified against `caPem`. */
    address: `https://127.0.0.1:${port}`,
    port,
    caPem: tls.caPem,
    tls,
    /** Cuts every connection and frees the port. */
    stop: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
        for (const socket of sockets) {
          socket.destroy();
        }
      }),
  };
}

export type FakeServer = Awaited<ReturnType<typeof serveFakeOpenBao>>;

async function freshTls(): Promise<NonNullable<FakeServerOptions["tls"]>> {
  const ca = await makeTestCa({ commonName: "stand-in CA" });
  return { caPem: ca.certPem, leaf: await ca.server() };
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    const part = Buffer.from(chunk);
    bytes += part.length;
    if (bytes > MAX_REQUEST_BYTES) {
      throw new Error("request body too large");
    }
    chunks.push(part);
  }
  return Buffer.concat(chunks).toString();
}

async function reply(
  openbao: Handler,
  request: IncomingMessage,
  response: ServerResponse,
  body: string,
  now: () => number,
): Promise<void> {
  const { reply: answer, fault } = await openbao.handle({
    method: request.method ?? "GET",
    target: request.url ?? "/",
    headers: Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [
        name,
        Array.isArray(value) ? value.join(",") : value,
      ]),
    ),
    body,
  });
  const wire = wireReply(answer, fault, now());
  const bytes = Buffer.from(wire.body);
  switch (fault?.kind) {
    case "hang":
      return;
    case "reset":
      request.socket.resetAndDestroy();
      return;
    case "torn":
      writeHead(response, wire, bytes.length);
      response.write(bytes.subarray(0, Math.floor(bytes.length / 2)), () => request.socket.destroy());
      return;
    case "slow":
      writeHead(response, wire, bytes.length);
      await trickle(response, bytes, fault.bytesPerSecond);
      return;
    case "reply":
    case "rewrite":
    case undefined:
      writeHead(response, wire, bytes.length);
      response.end(request.method === "HEAD" ? undefined : bytes);
  }
}

function writeHead(response: ServerResponse, wire: WireReply, length: number): void {
  response.writeHead(
    wire.status,
    wire.status === 204 ? wire.headers : { ...wire.headers, "content-length": length },
  );
}

async function trickle(response: ServerResponse, bytes: Buffer, bytesPerSecond: number): Promise<void> {
  response.flushHeaders();
  for (const byte of bytes) {
    if (response.destroyed) {
      return;
    }
    response.write(Buffer.of(byte));
    await new Promise((resolve) => setTimeout(resolve, 1000 / bytesPerSecond));
  }
  response.end();
}
