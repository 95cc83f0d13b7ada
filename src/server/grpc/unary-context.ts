/** @module What Connect's interface tells a method about its call. Headers are made when they are asked for: ours are not. */
import type { ContextValues, HandlerContext } from "@connectrpc/connect";
import { grpcStatusOk, headerContentType, headerGrpcStatus } from "@connectrpc/connect/protocol-grpc";
import type { UnaryRequest } from "./unary-request.ts";

export const PROTOCOL = "grpc";
const RESPONSE_HEADER = { [headerContentType]: "application/grpc+proto" };
const RESPONSE_TRAILER = { [headerGrpcStatus]: grpcStatusOk };
/** For answers whose own were not asked for. Never given to a method, so never changed. */
const PLAIN_HEADER = new Headers(RESPONSE_HEADER);
const PLAIN_TRAILER = new Headers(RESPONSE_TRAILER);

type Method = Pick<HandlerContext, "service" | "method">;

export class UnaryContext implements HandlerContext {
  readonly protocolName = PROTOCOL;
  readonly service: HandlerContext["service"];
  readonly method: HandlerContext["method"];
  readonly requestMethod: string;
  readonly url: string;
  readonly signal: AbortSignal;
  readonly timeoutMs: () => number;
  readonly #request: UnaryRequest;
  #header: Headers | undefined;
  #trailer: Headers | undefined;

  constructor({ service, method }: Method, request: UnaryRequest, timeoutMs: () => number) {
    this.service = service;
    this.method = method;
    this.requestMethod = request.method;
    this.url = request.url;
    this.signal = request.signal;
    this.timeoutMs = timeoutMs;
    this.#request = request;
  }

  get requestHeader(): Headers {
    return this.#request.header;
  }

  get responseHeader(): Headers {
    this.#header ??= new Headers(RESPONSE_HEADER);
    return this.#header;
  }

  get responseTrailer(): Headers {
    this.#trailer ??= new Headers(RESPONSE_TRAILER);
    return this.#trailer;
  }

  get values(): ContextValues {
    return this.#request.contextValues;
  }

  /** What the answer carries. */
  get sent(): { readonly header: Headers; readonly trailer: Headers } {
    return { header: this.#header ?? PLAIN_HEADER, trailer: this.#trailer ?? PLAIN_TRAILER };
  }
}
