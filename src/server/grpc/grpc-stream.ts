/** @module Between one HTTP/2 stream and one of Connect's handlers: the request read whole and bounded, the answer written. */
import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { constants } from "node:http2";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { type BodyBudget, BodyBuffer, type BodyShare } from "./body-budget.ts";
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

/** Whose call it is: its share of the budget and its turn are counted for the owner, which learns what becomes of the call. */
export interface CallOwner {
  /** The body has arrived, and a handler has the call or gets it when it is its session's turn. */
  handled(call: StreamCall): void;
  /** The handler's answer is being sent. */
  answered(call: StreamCall): void;
  /** A request was refused without a handler. */
  refused(): void;
  /** An answer was given up since the peer does not read it. */
  unread(): void;
  /** The request has ended. Called once. */
  ended(call: StreamCall): void;
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

/** The request of one stream, from its headers to its end. */
export class StreamCall {
  readonly #stream: ServerHttp2Stream;
  readonly #headers: IncomingHttpHeaders;
  readonly #owner: CallOwner;
  readonly #options: StreamOptions;
  readonly #share: BodyShare | undefined;
  #state: "receiving" | "handled" | "answered" | "refused" = "receiving";
  /** Dropped when the request is refused. */
  #body: BodyBuffer | undefined;
  #request: UnaryRequest | undefined;

  constructor(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    owner: CallOwner,
    options: StreamOptions,
  ) {
    this.#stream = stream;
    this.#headers = headers;
    this.#owner = owner;
    this.#options = options;
    const { budget, handlers, maxBodyBytes } = options;
    const path = headers[":path"];
    const handler = path === undefined ? undefined : handlers.get(path);
    this.#share =
      handler === undefined ? undefined : budget.admit(owner, () => this.#refuse(BODIES_TOO_LARGE));

    // A reset by the peer surfaces as an error too; the call is over either way, and "close" follows.
    stream.on("error", ignore);
    stream.on("close", () => this.#end());
    if (handler === undefined || this.#share === undefined) {
      this.#refuse(handler === undefined ? UNKNOWN_METHOD : BODIES_TOO_LARGE);
      return;
    }
    this.#body = new BodyBuffer(budget, this.#share, maxBodyBytes);
    stream.on("data", (piece: Uint8Array) => this.#receive(piece));
    stream.on("end", () => this.#handle(handler));
  }

  /** Ends a request whose peer does not send the rest of it, or does not read the answer. */
  giveUp(): void {
    this.#refuse(BODY_TOO_SLOW);
  }

  #receive(piece: Uint8Array): void {
    const outcome = this.#body?.add(piece) ?? "added";
    if (outcome !== "added") {
      this.#refuse(outcome === "too_large" ? BODY_TOO_LARGE : BODIES_TOO_LARGE);
    }
  }

  /** The body is whole. */
  #handle(handler: UniversalHandler): void {
    const stream = this.#stream;
    // A stream that was reset also ends.
    if (this.#state !== "receiving" || stream.aborted || (stream.rstCode ?? 0) !== 0) {
      return;
    }
    this.#state = "handled";
    this.#countAsHandled(true);
    this.#owner.handled(this);
    this.#options.turns.begin(this.#owner, () => {
      if (this.#body !== undefined && !stream.closed) {
        const { bytes } = this.#body;
        this.#request = new UnaryRequest(handler.requestPath, this.#headers, bytes, this.#owner);
        void answer(stream, handler, this.#request, () => this.#answered());
      }
    });
  }

  #answered(): void {
    if (this.#state === "handled") {
      this.#state = "answered";
      this.#countAsHandled(false);
      this.#owner.answered(this);
    }
  }

  #refuse(refusal: OutgoingHttpHeaders): void {
    if (this.#state === "answered") {
      this.#owner.unread();
    } else if (this.#state !== "refused") {
      const wasHandled = this.#state === "handled";
      this.#state = "refused";
      this.#body = undefined;
      this.#request?.callerIsGone();
      respondOnly(this.#stream, refusal, ignore);
      // The peer may still be sending what is not read.
      this.#stream.close(constants.NGHTTP2_NO_ERROR);
      if (!wasHandled) {
        this.#owner.refused();
      }
    }
  }

  #end(): void {
    if (this.#share !== undefined) {
      this.#options.budget.release(this.#share);
    }
    if (this.#state === "handled") {
      this.#request?.callerIsGone();
    }
    this.#owner.ended(this);
  }

  #countAsHandled(isHandled: boolean): void {
    if (this.#share !== undefined) {
      this.#options.budget.setHandled(this.#share, isHandled);
    }
  }
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
