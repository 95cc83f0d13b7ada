/**
 * Answers that only a server with OpenBao's own certificate can give: each request goes to the real OpenBao, and its answer
 * is changed before the provider reads it.
 *
 * @module An HTTPS server with the faults of test/fakes/openbao/faults.ts.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { Socket } from "node:net";
import { type Fault, wireReply } from "../fakes/openbao/faults.ts";
import type { JsonObject } from "../fakes/openbao/reply.ts";
import type { Leaf } from "../fakes/tls/test-ca.ts";
import type { RealOpenBao } from "../harness/openbao.ts";

export interface ForgedAnswers {
  readonly port: number;
  /** The fault of the n-th request from now, counted from 0. */
  readonly forge: (choose: (request: number) => Fault | undefined) => void;
  readonly close: () => void;
}

/** Without a leaf it has a good one of OpenBao's CA. */
export async function openForgedAnswers(openbao: RealOpenBao, certificate?: Leaf): Promise<ForgedAnswers> {
  const leaf = certificate ?? (await openbao.ca.server());
  let choose: (request: number) => Fault | undefined = () => undefined;
  let requests = 0;
  const sockets = new Set<Socket>();
  const server = createServer({ key: leaf.keyPem, cert: leaf.chainPem }, (request, response) => {
    const fault = choose(requests);
    requests += 1;
    answer(openbao, request, response, fault).catch(() => request.socket.destroy());
  });
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.once("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return {
    port: address !== null && typeof address === "object" ? address.port : 0,
    forge: (next) => {
      choose = next;
      requests = 0;
    },
    close: () => {
      server.close();
      for (const socket of sockets) {
        socket.destroy();
      }
    },
  };
}

async function answer(
  { address, caPem }: RealOpenBao,
  request: IncomingMessage,
  response: ServerResponse,
  fault: Fault | undefined,
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) {
    chunks.push(Buffer.from(chunk));
  }
  const headers = Object.entries(request.headers).filter(([name]) => name.startsWith("x-vault-"));
  const real = await fetch(`${address}${request.url ?? "/"}`, {
    method: request.method ?? "GET",
    headers: Object.fromEntries(headers.map(([name, value]) => [name, String(value)])),
    ...(chunks.length === 0 ? {} : { body: Buffer.concat(chunks) }),
    tls: { ca: caPem },
    signal: AbortSignal.timeout(5000),
  });
  const text = await real.text();
  const body: JsonObject | undefined = text === "" ? undefined : JSON.parse(text);
  const wire = wireReply({ status: real.status, body }, fault, Date.now());
  const bytes = Buffer.from(wire.body);
  response.writeHead(
    wire.status,
    wire.status === 204 ? wire.headers : { ...wire.headers, "content-length": bytes.length },
  );
  if (fault?.kind === "torn") {
    response.write(bytes.subarray(0, Math.floor(bytes.length / 2)), () => request.socket.destroy());
    return;
  }
  response.end(bytes);
}
