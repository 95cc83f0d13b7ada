/** @module Between one HTTP/2 stream and one of Connect's handlers: the request read whole and bounded, the answer written. */
import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { constants } from "node:http2";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import type { BodyBudget } from "./body-budget.ts";
import { BodyBuffer } from "./body-buffer.ts";
import type { FairTurns } from "./fair-turns.ts";
import { UnaryRequest, WholeBody } from "./unary-request.ts";

export interface StreamOptions {
  /** Handlers by path, such as `/v2.KeyManagementService/Status`. */
  readonly handlers: ReadonlyMap<string, UniversalHandler>;
  /** Longest request body in bytes, its envelope included. */
  readonly maxBodyBytes: number;
  readonly budget: BodyBudget;
  readonly turns: FairTurns;
}

/** A request in progress. */
export interface StreamCall {
  /** Ends a request whose peer does not send the rest of it, or does not read the answer. */
  giveUp(): void;
}

interface StreamEvents {
  /** The body has arrived, and a handler has the call or gets it when it is its session's turn. */
  handled(): void;
  /** The handler's answer is being sent. */
  answered(): void;
  /** The request was refused without a handler. */
  refused(): void;
  /** The answer was given up since the peer does not read it. */
  unread(): void;
  /** The request has ended. Called once. */
  ended(): void;
}

/** gRPC's status codes that are answered without a handler (status codes and their use in gRPC). */
const UNKNOWN_METHOD = trailersOnly("12", "unknown%20method");
const BODY_TOO_LARGE = trailersOnly("8", "message%20is%20too%20large");
const BODIES_TOO_LARGE = trailersOnly("8", "too%20many%20unfinished%20requests");
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

/** Serves one stream of `session`, which is who its share of the budget and its turn are counted for. */
export function serveStream(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  session: object,
  options: StreamOptions,
  events: StreamEvents,
): StreamCall {
  const { budget, turns } = options;
  let request: UnaryRequest | undefined;
  /** Dropped when the request is refused. */
  let body: BodyBuffer | undefined;
  let state: "receiving" | "handled" | "answered" | "refused" = "receiving";

  const refuse = (refusal: OutgoingHttpHeaders): void => {
    if (state === "answered") {
      events.unread();
    } else if (state !== "refused") {
      const wasHandled = state === "handled";
      state = "refused";
      body = undefined;
      request?.callerIsGone();
      respondOnly(stream, refusal, ignore);
      // The peer may still be sending what is not read.
      stream.close(constants.NGHTTP2_NO_ERROR);
      if (!wasHandled) {
        events.refused();
      }
    }
  };

  const path = headers[":path"];
  const handler = path === undefined ? undefined : options.handlers.get(path);
  const share = handler === undefined ? undefined : budget.admit(session, () => refuse(BODIES_TOO_LARGE));

  // A reset by the peer surfaces as an error too; the call is over either way, and "close" follows.
  stream.on("error", ignore);
  stream.on("close", () => {
    if (share !== undefined) {
      budget.release(share);
    }
    if (state === "handled") {
      request?.callerIsGone();
    }
    events.ended();
  });

  if (handler === undefined || share === undefined) {
    refuse(handler === undefined ? UNKNOWN_METHOD : BODIES_TOO_LARGE);
    return { giveUp: ignore };
  }

  body = new BodyBuffer(budget, share, options.maxBodyBytes);
  stream.on("data", (piece: Uint8Array) => {
    const outcome = body?.add(piece) ?? "added";
    if (outcome !== "added") {
      refuse(outcome === "too_large" ? BODY_TOO_LARGE : BODIES_TOO_LARGE);
    }
  });
  const answered = (): void => {
    if (state === "handled") {
      state = "answered";
      budget.setHandled(share, false);
      events.answered();
    }
  };
  const handle = (): void => {
    if (body === undefined || stream.closed) {
      return;
    }
    request = new UnaryRequest({
      path: handler.requestPath,
      method: headers[":method"] ?? "",
      metadata: headers,
      bytes: body.bytes,
      caller: session,
    });
    void answer(stream, handler, request, answered);
  };
  stream.on("end", () => {
    // A stream that was reset also ends.
    if (state === "receiving" && !stream.aborted && (stream.rstCode ?? 0) === 0) {
      state = "handled";
      budget.setHandled(share, true);
      events.handled();
      turns.begin(session, handle);
    }
  });

  return { giveUp: () => refuse(BODY_TOO_SLOW) };
}

function ignore(): void {}

/** Lets the handler answer, and calls back when the answer is being sent, but not when the stream was gone. Never rejects. */
async function answer(
  stream: ServerHttp2Stream,
  handler: UniversalHandler,
  request: UnaryRequest,
  answered: () => void,
): Promise<void> {
  try {
    const { status, header, body, trailer } = await handler(request);
    const bytes =
      body === undefined || body instanceof WholeBody
        ? body?.bytes
        : Buffer.concat(await Array.fromAsync(body));
    const headers = outgoing(header, { ":status": status });
    if (bytes === undefined) {
      respondOnly(stream, outgoing(trailer, headers), answered);
    } else if (!stream.destroyed && !stream.closed) {
      const trailers = outgoing(trailer, {});
      stream.respond(headers, { waitForTrailers: true });
      stream.on("wantTrailers", () => {
        if (!stream.destroyed && !stream.closed) {
          stream.sendTrailers(trailers);
        }
      });
      stream.end(bytes);
      answered();
    }
  } catch {
    respondOnly(stream, HANDLER_FAILED, answered);
  }
}

/** Adds headers to those that are there already. */
function outgoing(from: Headers | undefined, to: OutgoingHttpHeaders): OutgoingHttpHeaders {
  from?.forEach((value, name) => {
    to[name] = value;
  });
  return to;
}

/** HEADERS that end the stream: an HTTP error, or gRPC's Trailers-Only. Nothing when the stream is gone. */
function respondOnly(stream: ServerHttp2Stream, headers: OutgoingHttpHeaders, answered: () => void): void {
  if (!stream.destroyed && !stream.closed && !stream.headersSent) {
    stream.respond(headers, { endStream: true });
    answered();
  }
}
