/** @module gRPC for unary methods, as a protocol of Connect: one message in, one out, without Connect's async generators. */
import {
  create,
  type DescMessage,
  type DescMethod,
  type Message,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ContextValues,
  type HandlerContext,
  type MethodImplSpec,
} from "@connectrpc/connect";
import {
  contentTypeMatcher,
  createMethodSerializationLookup,
  createMethodUrl,
  encodeEnvelope,
  type ProtocolHandlerFactory,
  type UniversalServerRequest,
  type UniversalServerResponse,
} from "@connectrpc/connect/protocol";
import {
  grpcStatusOk,
  headerContentType,
  headerGrpcStatus,
  parseTimeout,
  setTrailerStatus,
} from "@connectrpc/connect/protocol-grpc";
import { UnaryRequest, WholeBody } from "./unary-request.ts";

/** Each gives `undefined` for a message that is left to the generic codec. */
export interface QuickCodec {
  readonly read: (bytes: Uint8Array) => Message | undefined;
  readonly write: (reply: MessageInitShape<DescMessage>) => Uint8Array | undefined;
}

export interface UnaryGrpcOptions {
  /** Longest message in either direction, in bytes. */
  readonly maxMessageBytes: number;
  /** A call without a deadline, or with a longer one, gets this one. */
  readonly maxTimeoutMs: number;
  /** Codecs of single methods, for the messages that they can read and write. */
  readonly quickCodecs?: ReadonlyMap<DescMethod, QuickCodec>;
}

/** Flags and length in front of each message (gRPC over HTTP/2, "Length-Prefixed-Message"). */
export const ENVELOPE_BYTES = 5;

/** Protobuf only: gRPC's JSON is optional, and no KMS client speaks it. */
const CONTENT_TYPE = /^application\/grpc(?:\+proto)?$/i;

const PROTOCOL = "grpc";
const RESPONSE_HEADER = { [headerContentType]: "application/grpc+proto" };
const RESPONSE_TRAILER = { [headerGrpcStatus]: grpcStatusOk };
/** For answers whose own were not asked for. Never given to a method, so never changed. */
const PLAIN_HEADER = new Headers(RESPONSE_HEADER);
const PLAIN_TRAILER = new Headers(RESPONSE_TRAILER);

/** What Connect's interface tells a method about its call. Headers are made when they are asked for: ours are not. */
class UnaryContext implements HandlerContext {
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

  constructor(
    { service, method }: Pick<HandlerContext, "service" | "method">,
    request: UnaryRequest,
    timeoutMs: () => number,
  ) {
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

/** Makes handlers of unary methods; a service with a streaming method is a mistake of the program and throws. */
export function unaryGrpc(options: UnaryGrpcOptions): ProtocolHandlerFactory {
  const factory = (spec: MethodImplSpec) => {
    if (spec.kind !== "unary") {
      throw new TypeError(`${spec.method.name} is not a unary method`);
    }
    const { method, impl } = spec;
    const quick = options.quickCodecs?.get(method);
    const called = { service: method.parent, method };
    const limits = { readMaxBytes: options.maxMessageBytes, writeMaxBytes: options.maxMessageBytes };
    const codec = createMethodSerializationLookup(method, undefined, undefined, limits);
    const input = codec.getI(true);
    const output = codec.getO(true);

    const handle = async (request: UniversalServerRequest): Promise<UniversalServerResponse> => {
      if (!(request instanceof UnaryRequest)) {
        throw new TypeError("a unary call is handled when its request is here as a whole");
      }
      if (request.method !== "POST") {
        return { status: 405 };
      }
      if (!CONTENT_TYPE.test(request.metadata("content-type") ?? "")) {
        return { status: 415 };
      }
      const timeout = parseTimeout(request.metadata("grpc-timeout"), Number.MAX_SAFE_INTEGER);
      const deadlineMs = Math.min(timeout.timeoutMs ?? options.maxTimeoutMs, options.maxTimeoutMs);
      const context = new UnaryContext(called, request, request.startDeadline(deadlineMs));
      let body: WholeBody | undefined;
      try {
        if (timeout.error !== undefined) {
          throw new ConnectError("grpc-timeout is malformed", Code.InvalidArgument);
        }
        assertNoCompression(request.metadata("grpc-encoding"));
        const message = openEnvelope(request.body.bytes, options.maxMessageBytes);
        const reply = await impl(quick?.read(message) ?? parse(input, message), context);
        const written = quick?.write(reply) ?? output.serialize(create(method.output, reply));
        body = new WholeBody(encodeEnvelope(0, written));
      } catch (error) {
        setTrailerStatus(context.responseTrailer, asConnectError(error));
      } finally {
        request.stopDeadline();
      }
      const { header, trailer } = context.sent;
      return body === undefined ? { status: 200, header, trailer } : { status: 200, header, trailer, body };
    };

    return Object.assign(handle, {
      protocolNames: [PROTOCOL],
      allowedMethods: ["POST"],
      supportedContentType: contentTypeMatcher(CONTENT_TYPE),
      requestPath: createMethodUrl("/", method),
      ...called,
    });
  };
  return Object.assign(factory, { protocolName: PROTOCOL });
}

function assertNoCompression(encoding: string | null): void {
  if (encoding !== null && encoding !== "identity") {
    throw new ConnectError("compression is not supported", Code.Unimplemented);
  }
}

/** Takes the one message out of a request's body. @throws ConnectError with a constant text. */
function openEnvelope(bytes: Uint8Array, maxBytes: number): Uint8Array {
  if (bytes.length < ENVELOPE_BYTES) {
    throw new ConnectError("request has no complete message", Code.InvalidArgument);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, ENVELOPE_BYTES);
  const length = view.getUint32(1);
  if (length > maxBytes) {
    throw new ConnectError("message is too large", Code.ResourceExhausted);
  }
  if (view.getUint8(0) !== 0) {
    // gRPC's compression rules: a set flag without an encoding is INTERNAL.
    throw new ConnectError("compressed flag is set but no compression was agreed", Code.Internal);
  }
  if (bytes.length !== ENVELOPE_BYTES + length) {
    throw new ConnectError("a unary call carries exactly one message", Code.InvalidArgument);
  }
  return bytes.subarray(ENVELOPE_BYTES);
}

function parse<T>(input: { parse(bytes: Uint8Array): T }, message: Uint8Array): T {
  try {
    return input.parse(message);
  } catch {
    throw new ConnectError("message is not valid protobuf", Code.InvalidArgument);
  }
}

/** Every error of the service is a ConnectError already; what is not has a constant text here too. */
function asConnectError(error: unknown): ConnectError {
  return error instanceof ConnectError ? error : new ConnectError("internal error", Code.Internal);
}
