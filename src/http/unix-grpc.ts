/** @module gRPC over a Unix socket, as a client. */
import { connect } from "node:net";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";

/** Connects at the first call. kube-apiserver's authority is `localhost`. */
export function unixGrpc(socketPath: string, maxMessageBytes: number) {
  const sessionManager = new Http2SessionManager("http://localhost", undefined, {
    createConnection: () => connect(socketPath),
  });
  const transport = createGrpcTransport({
    baseUrl: "http://localhost",
    sessionManager,
    readMaxBytes: maxMessageBytes,
    writeMaxBytes: maxMessageBytes,
    acceptCompression: [],
  });
  return { transport, close: (): void => sessionManager.abort() };
}
