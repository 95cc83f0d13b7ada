/**
 * @module Our HTTPS transport on one side, TLS servers that say whatever a test wants on the other. For the tests of
 * src/http/https.ts. All on 127.0.0.1; closing the stage ends its servers and transports.
 */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createTlsServer, type TlsOptions } from "node:tls";
import { openCaFile } from "../../../src/http/ca-file.ts";
import { TransportError } from "../../../src/http/errors.ts";
import { createHttpTransport, type HttpRequest, type HttpTransport } from "../../../src/http/https.ts";
import { OPENBAO_NAMES } from "../../../src/provider/transit-access.ts";
import { manualClock } from "../manual-clock.ts";
import { makeTestCa } from "./test-ca.ts";

/** In every URL of a stage; no error may repeat it. */
const SECRET_QUERY = "secret=1";

export const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

export async function openHttpsStage() {
  const dir = mkdtempSync(join(tmpdir(), "transport-"));
  const caPath = join(dir, "ca.pem");
  const ca = await makeTestCa();
  const leaf = await ca.server();
  const open: { close: () => unknown }[] = [];
  /** The URL of a server once it listens. */
  const listen = (server: Server): Promise<string> => {
    open.push(server);
    server.on("tlsClientError", () => {});
    return new Promise((resolve, reject) =>
      server.listen(0, "127.0.0.1", () => {
        const address = server.address();
        if (address === null || typeof address === "string") {
          reject(new Error("not a TCP server"));
          return;
        }
        resolve(`https://127.0.0.1:${address.port}/v1/x?${SECRET_QUERY}`);
      }),
    );
  };
  return {
    ca,
    /** The server's own, for `localhost`. */
    leaf,
    /** The CA bundle that transports trust. */
    caPath,
    listen,
    /** A transport that trusts `ca`; the bundle is written anew. */
    transportTo: async (options: Partial<Parameters<typeof createHttpTransport>[0]> = {}) => {
      writeFileSync(caPath, ca.certPem);
      chmodSync(caPath, 0o644);
      const trust = await openCaFile({
        path: caPath,
        field: OPENBAO_NAMES.caField,
        serviceUid: process.getuid?.() ?? 0,
      });
      const transport = createHttpTransport({
        names: OPENBAO_NAMES,
        trust,
        serverName: "localhost",
        clock: manualClock(),
        ...options,
      });
      open.push(transport);
      return transport;
    },
    /** A TLS server that says `reply` to every request and then, unless told to stay, hangs up. */
    rawServer: (reply: string, options: TlsOptions = {}, stay = false) =>
      listen(
        createTlsServer({ cert: leaf.chainPem, key: leaf.keyPem, ...options }, (socket) => {
          socket.on("error", () => {});
          socket.on("data", () => {
            if (stay) {
              socket.write(reply);
            } else {
              socket.end(reply);
            }
          });
        }),
      ),
    close: () => {
      for (const each of open) {
        each.close();
      }
      rmSync(dir, { recursive: true });
    },
  };
}

export type HttpsStage = Awaited<ReturnType<typeof openHttpsStage>>;

/** One GET with small limits, unless `more` says otherwise. */
export const ask = (transport: HttpTransport, url: string, more: Partial<HttpRequest> = {}) =>
  transport.request({
    method: "GET",
    url,
    headers: {},
    signal: new AbortController().signal,
    timeoutMs: 2000,
    maxBytes: 1000,
    ...more,
  });

/** The code with which a request failed, or `answered`. An error that repeats the query is a failure of the test. */
export async function codeOf(answer: Promise<unknown>): Promise<string> {
  const error: unknown = await answer.then(
    () => "answered",
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof TransportError)) {
    return String(error);
  }
  if (error.message.includes(SECRET_QUERY)) {
    throw new Error("an error repeats the query of the URL");
  }
  return error.code;
}
