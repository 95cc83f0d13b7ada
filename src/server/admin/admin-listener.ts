/** @module Metrics and health over HTTP. `Bun.serve` bounds neither connections nor slow headers, and accepts two Host fields. */
import { once } from "node:events";
import { STATUS_CODES } from "node:http";
import { createServer, type Server, type Socket } from "node:net";
import { errnoOf, reasonOf } from "../../base/errno.ts";
import { type ServerCode, ServerError } from "../errors.ts";
import { decodeHttpRequest, MAX_REQUEST_BYTES } from "./http-request.ts";

export interface RouteReply {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

type Routes = Readonly<Record<string, () => RouteReply | Promise<RouteReply>>>;

interface AdminListenerOptions {
  /** The configuration's field, for errors: `server.metricsAddress`. */
  readonly field: string;
  readonly address: { readonly host: string; readonly port: number };
  readonly routes: Routes;
  /** From accept to the last byte of the reply. */
  readonly connectionTimeoutMs?: number;
  readonly maxConnections?: number;
}

export type AdminListener = Awaited<ReturnType<typeof startAdminListener>>;

const CONNECTION_TIMEOUT_MS = 5000;
const MAX_CONNECTIONS = 32;

/** @throws ServerError of class `config_invalid` when the address cannot be listened on. */
export async function startAdminListener(options: AdminListenerOptions) {
  const timeoutMs = options.connectionTimeoutMs ?? CONNECTION_TIMEOUT_MS;
  const maxConnections = options.maxConnections ?? MAX_CONNECTIONS;
  /** In the order of their arrival. */
  const connections = new Set<Socket>();

  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const [oldest] = connections;
    if (connections.size >= maxConnections && oldest !== undefined) {
      // The oldest has had the most time; dropping it lets a scrape in while a client keeps connections open.
      oldest.destroy();
      connections.delete(oldest);
    }
    connections.add(socket);
    const timer = setTimeout(() => socket.destroy(), timeoutMs);
    socket.once("close", () => {
      clearTimeout(timer);
      connections.delete(socket);
    });
    serveConnection(socket, options.routes);
  });
  await listen(server, options);

  const bound = server.address();
  return {
    /** The port that is listened on; of use when the address said 0. */
    port: bound !== null && typeof bound === "object" ? bound.port : options.address.port,
    /** Stops listening and ends every connection at once: every request can be repeated. */
    close: async (): Promise<void> => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of connections) {
        socket.destroy();
      }
      await closed;
    },
  };
}

function serveConnection(socket: Socket, routes: Routes): void {
  let received = Buffer.alloc(0);
  let answered = false;
  const answer = (reply: RouteReply, head: boolean): void => {
    if (!socket.destroyed) {
      socket.end(encodeReply(reply, head), () => socket.destroySoon());
    }
  };

  socket.on("error", () => socket.destroy());
  socket.on("end", () => {
    if (!answered) {
      socket.destroy();
    }
  });
  socket.on("data", (chunk: Buffer) => {
    if (answered) {
      return;
    }
    received = Buffer.concat([received, chunk.subarray(0, MAX_REQUEST_BYTES + 1)]);
    const request = decodeHttpRequest(received);
    answered = request.kind !== "incomplete";
    switch (request.kind) {
      case "incomplete":
        return;
      case "malformed":
        answer(plain(400), false);
        return;
      case "too_large":
        answer(plain(431), false);
        return;
      case "complete":
        void route(request.method, request.path, routes).then((reply) =>
          answer(reply, request.method === "HEAD"),
        );
    }
  });
}

async function route(method: string, path: string, routes: Routes): Promise<RouteReply> {
  if (method !== "GET" && method !== "HEAD") {
    return plain(405);
  }
  const handler = Object.hasOwn(routes, path) ? routes[path] : undefined;
  if (handler === undefined) {
    return plain(404);
  }
  try {
    return await handler();
  } catch {
    return plain(500);
  }
}

function plain(status: number): RouteReply {
  return { status, contentType: "text/plain; charset=utf-8", body: `${STATUS_CODES[status] ?? "Error"}\n` };
}

function encodeReply({ status, contentType, body }: RouteReply, head: boolean): Buffer {
  const bytes = Buffer.from(body);
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Unknown"}`,
    `Content-Type: ${contentType}`,
    `Content-Length: ${bytes.length}`,
    "Cache-Control: no-store",
    "X-Content-Type-Options: nosniff",
    "Connection: close",
    ...(status === 405 ? ["Allow: GET, HEAD"] : []),
  ];
  const header = Buffer.from(`${lines.join("\r\n")}\r\n\r\n`);
  return head ? header : Buffer.concat([header, bytes]);
}

async function listen(server: Server, { field, address }: AdminListenerOptions): Promise<void> {
  const listening = once(server, "listening");
  try {
    server.listen({ host: address.host, port: address.port, exclusive: true });
    await listening;
    // A failed accept(2) concerns one connection; the listener continues.
    server.on("error", () => {});
  } catch (error) {
    throw listenFailure(error, `${address.host}:${address.port}`, field);
  }
}

function listenFailure(cause: unknown, where: string, field: string): ServerError {
  const failure = (code: ServerCode, problem: string, advice?: string): ServerError =>
    new ServerError({ code, errorClass: "config_invalid", message: `${field}: ${problem}`, advice, cause });
  switch (errnoOf(cause)) {
    case "EADDRINUSE":
      return failure(
        "address_in_use",
        `another process already listens on ${where}`,
        `find it with: ss -ltnp; stop it, or set ${field} to another port`,
      );
    case "EACCES":
    case "EPERM":
      return failure(
        "address_denied",
        `this user may not listen on ${where}`,
        `set ${field} to a port of 1024 or above`,
      );
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
    case "EAI_AGAIN":
    case "EINVAL":
      return failure(
        "address_invalid",
        `${where} is not an address of this machine`,
        `set ${field} to an address that this machine has, such as 127.0.0.1`,
      );
    default:
      return failure("listen_failed", `cannot listen on ${where} (${reasonOf(cause)})`);
  }
}
