/**
 * What a KMS provider on `node:http2` costs before it does anything: `http2-alone.ts SOCKET`, on stdin an EncryptResponse.
 *
 * @module A server of its own process that decodes each Decrypt with Protobuf-ES and answers a constant; no Connect, no checks, no
 * OpenBao. It takes a request's body as the provider does. The floor below which no figure of the provider can come while it is
 * served over Bun's HTTP/2.
 */
import { createServer, type ServerHttp2Stream } from "node:http2";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { DecryptRequestSchema, DecryptResponseSchema } from "../../src/kms/gen/v2/api_pb.ts";
import { receiveBody } from "../../src/server/request-body.ts";

const ENVELOPE_BYTES = 5;
const [socketPath = ""] = process.argv.slice(2);
const encryptReply = new Uint8Array(await Bun.stdin.arrayBuffer());

function replyTo(path: string | undefined, message: Uint8Array): Uint8Array {
  if (path?.endsWith("/Encrypt")) {
    return encryptReply;
  }
  fromBinary(DecryptRequestSchema, message);
  return toBinary(DecryptResponseSchema, create(DecryptResponseSchema, { plaintext: new Uint8Array(32) }));
}

const server = createServer();
server.on("stream", (stream: ServerHttp2Stream, headers) => {
  const chunks: Uint8Array[] = [];
  stream.on("error", () => {});
  const answer = (): void => {
    const message = replyTo(headers[":path"], Buffer.concat(chunks).subarray(ENVELOPE_BYTES));
    const frame = Buffer.alloc(ENVELOPE_BYTES + message.length);
    frame.writeUInt32BE(message.length, 1);
    frame.set(message, ENVELOPE_BYTES);
    stream.respond({ ":status": 200, "content-type": "application/grpc+proto" }, { waitForTrailers: true });
    stream.once("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(frame);
  };
  receiveBody(stream, { piece: (bytes) => chunks.push(bytes), complete: answer });
});
server.listen(socketPath, () => console.log("ready"));
