/**
 * A gRPC unary caller over one HTTP/2 connection on a Unix socket, as lean as it can be, so that what is measured is the
 * provider and not the caller.
 *
 * @module One connection, as kube-apiserver has. Test and benchmark code: no retries, no deadlines but one per call.
 */
import { connect } from "node:http2";
import { createConnection } from "node:net";

export interface UnaryCaller {
  /** Sends one message and resolves with the reply's message; rejects when grpc-status is not 0. */
  call(method: string, message: Uint8Array): Promise<Uint8Array>;
  close(): void;
}

export class UnaryCallError extends Error {
  readonly grpcStatus: string;

  constructor(grpcStatus: string) {
    super(`grpc-status ${grpcStatus}`);
    this.grpcStatus = grpcStatus;
  }
}

const HEADER_BYTES = 5;

export async function openUnaryCaller(socketPath: string): Promise<UnaryCaller> {
  const session = connect("http://localhost", { createConnection: () => createConnection(socketPath) });
  await new Promise<void>((resolve, reject) => {
    session.once("connect", () => resolve());
    session.once("error", reject);
  });
  session.on("error", () => {});

  return {
    call: (method, message) =>
      new Promise((resolve, reject) => {
        const stream = session.request({
          ":method": "POST",
          ":path": `/v2.KeyManagementService/${method}`,
          ":scheme": "http",
          ":authority": "localhost",
          "content-type": "application/grpc",
          te: "trailers",
          "grpc-timeout": "10S",
        });
        const chunks: Buffer[] = [];
        let status = "none";
        stream.on("response", (headers) => {
          status = String(headers["grpc-status"] ?? status);
        });
        stream.on("trailers", (trailers) => {
          status = String(trailers["grpc-status"] ?? status);
        });
        stream.on("data", (chunk: Buffer) => chunks.push(chunk));
        stream.once("error", reject);
        stream.once("close", () => {
          if (status === "0") {
            resolve(Buffer.concat(chunks).subarray(HEADER_BYTES));
          } else {
            reject(new UnaryCallError(status));
          }
        });
        const frame = Buffer.alloc(HEADER_BYTES + message.length);
        frame.writeUInt32BE(message.length, 1);
        frame.set(message, HEADER_BYTES);
        stream.end(frame);
      }),
    close: () => session.close(),
  };
}
