/**
 * Between one HTTP/2 stream and one of Connect's handlers.
 *
 * @module Reads the request whole and bounded, calls the handler, writes headers, message and trailers. What does not live
 * here: sessions and their limits (grpc-sessions.ts), gRPC's messages (unary-grpc.ts).
 */
import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { constants } from "node:http2";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { receiveBody } from "./request-body.ts";
import type { SharedTrailers } from "./shared-trailers.ts";
import { UnaryRequest, WholeBody } from "./unary-request.ts";

export interface StreamOptions {
  /** Handlers by path, such as `/v2.KeyManagementService/Status`. */
  readonly handlers: ReadonlyMap<string, UniversalHandler>;
  /** Longest request body in bytes, its envelope included. */
  readonly maxBodyBytes: number;
  readonly trailers: SharedTrailers;
}

/** A request under way. */
export interface StreamCall {
  /** Ends a request whose body does not come to an end. */
  giveUp(): void;
  readonly bodyComplete: boolean;
}

/** The only metadata that is looked at; all other metadata of the caller is dropped here. */
const PROTOCOL_HEADERS = ["content-type", "grpc-timeout", "grpc-encoding"] as const;

/** gRPC's status codes that are answered without a handler (status codes and their use in gRPC). */
const UNKNOWN_METHOD = trailersOnly("12", "unknown%20method");
const BODY_TOO_LARGE = trailersOnly("8", "message%20is%20too%20large");
const BODY_TOO_SLOW = trailersOnly("4", "request%20did%20not%20come%20to%20an%20end");
const HANDLER_FAILED = trailersOnly("13", "internal%20error");

function trailersOnly(status: string, encodedMessage: string): OutgoingHttpHeaders {
  return {
    ":status": 200,
    "content-type": "application/grpc+proto",
    "grpc-status": status,
    "grpc-message": encodedMessage,
  };
}

/** Serves one stream; `ended` is called once, when nothing is under way any more. */
export function serveStream(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  options: StreamOptions,
  ended: () => void,
): StreamCall {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  let bodyComplete = false;
  let request: UnaryRequest | undefined;
  let answered = false;

  const refuse = (refusal: OutgoingHttpHeaders): void => {
    if (!answered) {
      answered = true;
      respondOnly(stream, refusal);
      // The peer may still be sending what nobody reads.
      stream.close(constants.NGHTTP2_NO_ERROR);
    }
  };

  // A reset by the peer surfaces as an error too; the call is over either way, and "close" follows.
  stream.on("error", ignore);
  stream.on("close", () => {
    if (!answered) {
      answered = true;
      request?.callerIsGone();
    }
    ended();
  });

  const path = headers[":path"] ?? "";
  const handler = typeof path === "string" ? options.handlers.get(path) : undefined;
  if (handler === undefined) {
    refuse(UNKNOWN_METHOD);
    return { giveUp: () => {}, bodyComplete: true };
  }

  const onComplete = async (): Promise<void> => {
    bodyComplete = true;
    if (answered) {
      return;
    }
    const [first] = chunks;
    request = new UnaryRequest({
      path: handler.requestPath,
      method: headers[":method"] ?? "",
      header: protocolHeaders(headers),
      bytes: chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks, bytes),
    });
    await answer(stream, handler, request, options.trailers);
    answered = true;
  };
  receiveBody(stream, {
    piece: (chunk) => {
      bytes += chunk.length;
      if (bytes > options.maxBodyBytes) {
        chunks.length = 0;
        refuse(BODY_TOO_LARGE);
        return;
      }
      chunks.push(chunk);
    },
    complete: () => void onComplete(),
  });

  return {
    giveUp: () => refuse(BODY_TOO_SLOW),
    get bodyComplete() {
      return bodyComplete;
    },
  };
}

function ignore(): void {}

function protocolHeaders(headers: IncomingHttpHeaders): Headers {
  const picked = new Headers();
  for (const name of PROTOCOL_HEADERS) {
    const value = headers[name];
    if (typeof value === "string") {
      picked.set(name, value);
    }
  }
  return picked;
}

/** Lets the handler answer. Never rejects. */
async function answer(
  stream: ServerHttp2Stream,
  handler: UniversalHandler,
  request: UnaryRequest,
  shared: SharedTrailers,
): Promise<void> {
  try {
    const { status, header, body, trailer } = await handler(request);
    const bytes = body === undefined || body instanceof WholeBody ? body?.bytes : await readAll(body);
    const headers = outgoing(header, { ":status": status });
    if (bytes === undefined) {
      respondOnly(stream, outgoing(trailer, headers));
    } else if (!stream.destroyed && !stream.closed) {
      const trailers = outgoing(trailer, {});
      const sendTrailers = (): void => {
        if (!stream.destroyed && !stream.closed) {
          stream.sendTrailers(trailers);
        }
      };
      stream.respond(headers, { waitForTrailers: true });
      stream.on("wantTrailers", () => shared.due(sendTrailers));
      shared.answered();
      stream.end(bytes);
    }
  } catch {
    respondOnly(stream, HANDLER_FAILED);
  }
}

/** Adds headers to those that are there already. */
function outgoing(from: Headers | undefined, to: OutgoingHttpHeaders): OutgoingHttpHeaders {
  from?.forEach((value, name) => {
    to[name] = value;
  });
  return to;
}

/** HEADERS that end the stream: an HTTP error, or gRPC's Trailers-Only. */
function respondOnly(stream: ServerHttp2Stream, headers: OutgoingHttpHeaders): void {
  if (!stream.destroyed && !stream.closed && !stream.headersSent) {
    stream.respond(headers, { endStream: true });
  }
}

/** The body of a handler that answers in pieces, such as Connect's own. */
async function readAll(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) {
    chunks.push(chunk);
  }
  const [first] = chunks;
  return chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks);
}
