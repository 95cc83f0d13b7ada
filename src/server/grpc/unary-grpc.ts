/**
 * The gRPC protocol for unary methods, as a protocol of Connect.
 *
 * @module Connect's own gRPC handler serves streams too and moves each message through a chain of async generators, which
 * costs 0.16 ms a call where the JIT is off. This one plugs into the same place (Connect's `ProtocolHandlerFactory`), takes
 * one message and gives one, and leaves to Connect what it is for: codecs, invocation with interceptors, errors. What does
 * not live here: HTTP/2 (grpc-stream.ts), the request and its deadline (unary-request.ts), what the methods mean.
 */
import {
  Code,
  ConnectError,
  createContextValues,
  type HandlerContext,
  type MethodImplSpec,
} from "@connectrpc/connect";
import {
  contentTypeMatcher,
  createMethodSerializationLookup,
  createMethodUrl,
  encodeEnvelope,
  invokeUnaryImplementation,
  type ProtocolHandlerFactory,
  type UniversalServerRequest,
  type UniversalServerResponse,
} from "@connectrpc/connect/protocol";
import {
  grpcStatusOk,
  headerContentType,
  headerEncoding,
  headerGrpcStatus,
  headerTimeout,
  parseTimeout,
  setTrailerStatus,
} from "@connectrpc/connect/protocol-grpc";
import { UnaryRequest, WholeBody } from "./unary-request.ts";

export interface UnaryGrpcOptions {
  /** Longest message in either direction, in bytes. */
  readonly maxMessageBytes: number;
  /** A call without a deadline, or with a longer one, gets this one. */
  readonly maxTimeoutMs: number;
}

/** Flags and length in front of each message (gRPC over HTTP/2, "Length-Prefixed-Message"). */
export const ENVELOPE_BYTES = 5;

const PROTOCOL = "grpc";
/** Protobuf only: gRPC's JSON is optional, and no KMS client speaks it. */
const CONTENT_TYPE = /^application\/grpc(?:\+proto)?$/i;
const RESPONSE_HEADER = { [headerContentType]: "application/grpc+proto" };
const RESPONSE_TRAILER = { [headerGrpcStatus]: grpcStatusOk };

/** Makes handlers of unary methods; a service with a streaming method is a mistake of the program and throws. */
export function unaryGrpc(options: UnaryGrpcOptions): ProtocolHandlerFactory {
  const factory = (spec: MethodImplSpec) => {
    if (spec.kind !== "unary") {
      throw new TypeError(`${spec.method.name} is not a unary method`);
    }
    const limits = { readMaxBytes: options.maxMessageBytes, writeMaxBytes: options.maxMessageBytes };
    const codec = createMethodSerializationLookup(spec.method, undefined, undefined, limits);
    const input = codec.getI(true);
    const output = codec.getO(true);

    const handle = async (request: UniversalServerRequest): Promise<UniversalServerResponse> => {
      if (!(request instanceof UnaryRequest)) {
        throw new TypeError("a unary call is handled when its request is here as a whole");
      }
      if (request.method !== "POST") {
        return { status: 405 };
      }
      if (!CONTENT_TYPE.test(request.header.get(headerContentType) ?? "")) {
        return { status: 415 };
      }
      const timeout = parseTimeout(request.header.get(headerTimeout), Number.MAX_SAFE_INTEGER);
      const timeoutMs = Math.min(timeout.timeoutMs ?? options.maxTimeoutMs, options.maxTimeoutMs);
      const remainingMs = request.startDeadline(timeoutMs);
      const context: HandlerContext = {
        service: spec.method.parent,
        method: spec.method,
        protocolName: PROTOCOL,
        requestMethod: request.method,
        url: request.url,
        signal: request.signal,
        timeoutMs: remainingMs,
        requestHeader: request.header,
        responseHeader: new Headers(RESPONSE_HEADER),
        responseTrailer: new Headers(RESPONSE_TRAILER),
        values: createContextValues(),
      };
      const answered: UniversalServerResponse = {
        status: 200,
        header: context.responseHeader,
        trailer: context.responseTrailer,
      };
      try {
        if (timeout.error !== undefined) {
          throw new ConnectError("grpc-timeout is malformed", Code.InvalidArgument);
        }
        assertNoCompression(request.header.get(headerEncoding));
        const message = openEnvelope(request.body.bytes, options.maxMessageBytes);
        const reply = await invokeUnaryImplementation(spec, context, parse(input, message), []);
        answered.body = new WholeBody(encodeEnvelope(0, output.serialize(reply)));
      } catch (error) {
        setTrailerStatus(context.responseTrailer, asConnectError(error));
      } finally {
        request.stopDeadline();
      }
      return answered;
    };

    return Object.assign(handle, {
      protocolNames: [PROTOCOL],
      allowedMethods: ["POST"],
      supportedContentType: contentTypeMatcher(CONTENT_TYPE),
      requestPath: createMethodUrl("/", spec.method),
      service: spec.method.parent,
      method: spec.method,
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
