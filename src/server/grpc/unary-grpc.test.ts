import { describe, expect, test } from "bun:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import { CALLER } from "../../base/caller.ts";
import { KeyManagementService, StatusRequestSchema, StatusResponseSchema } from "../../kms/gen/v2/api_pb.ts";
import { unaryHandlers } from "../kms-listener.ts";
import type { QuickCodec, UnaryGrpcOptions } from "./unary-grpc.ts";
import { UnaryRequest, WholeBody } from "./unary-request.ts";

const MAX_TIMEOUT_MS = 60_000;

/** The answer to a Status with these headers and this body, and what the method was told of its deadline. */
async function ask(
  headers: Readonly<Record<string, string>>,
  bytes: Uint8Array = new Uint8Array(5),
  quickCodecs?: UnaryGrpcOptions["quickCodecs"],
) {
  let seen: HandlerContext | undefined;
  let received: unknown;
  const service: ServiceImpl<typeof KeyManagementService> = {
    status: (request, context) => {
      seen = context;
      received = request;
      return { version: "v2" };
    },
    encrypt: () => ({}),
    decrypt: () => ({}),
  };
  const options = {
    maxMessageBytes: 65_536,
    maxTimeoutMs: MAX_TIMEOUT_MS,
    ...(quickCodecs === undefined ? {} : { quickCodecs }),
  };
  const status = unaryHandlers(KeyManagementService, service, options).find(({ requestPath }) =>
    requestPath.endsWith("/Status"),
  );
  if (status === undefined) {
    throw new Error("no handler");
  }
  const caller = {};
  const metadata = { ":method": "POST", "content-type": "application/grpc", ...headers };
  const answer = await status(new UnaryRequest("/Status", metadata, bytes, caller));
  const sent = answer.body instanceof WholeBody ? answer.body.bytes : undefined;
  return {
    status: answer.trailer?.get("grpc-status"),
    timeoutMs: seen?.timeoutMs(),
    context: seen,
    caller,
    received,
    sent,
  };
}

describe("a call's deadline", () => {
  test.each([
    ["none", {}, MAX_TIMEOUT_MS],
    ["a longer one than allowed", { "grpc-timeout": "2M" }, MAX_TIMEOUT_MS],
    ["a far longer one", { "grpc-timeout": "99999999H" }, MAX_TIMEOUT_MS],
    ["the longest that is allowed", { "grpc-timeout": "60S" }, MAX_TIMEOUT_MS],
    ["a shorter one", { "grpc-timeout": "3S" }, 3000],
  ] as const)("%s", async (_name, headers, expectedMs) => {
    const { status, timeoutMs = 0 } = await ask(headers);
    expect(status).toBe("0");
    expect(timeoutMs).toBeLessThanOrEqual(expectedMs);
    expect(timeoutMs).toBeGreaterThan(expectedMs - 1000);
  });
});

test.each(["", "3", "S", "3s", "-1S", "1.5S", "123456789S", "3S 3S"])(
  "a deadline of %j is malformed, and the method is not called",
  async (timeout) => {
    const { status, context } = await ask({ "grpc-timeout": timeout });
    expect(status).toBe(String(Code.InvalidArgument));
    expect(context).toBeUndefined();
  },
);

test.each([0, 1, 4])("a body of %i bytes has no message in it", async (length) => {
  const { status, context } = await ask({}, new Uint8Array(length));
  expect(status).toBe(String(Code.InvalidArgument));
  expect(context).toBeUndefined();
});

test.each([
  ["gzip", Code.Unimplemented],
  ["identity", undefined],
])("grpc-encoding: %s", async (encoding, code) => {
  expect((await ask({ "grpc-encoding": encoding })).status).toBe(String(code ?? 0));
});

test("a method learns who calls", async () => {
  const { caller, context } = await ask({});
  expect(context?.values.get(CALLER)).toBe(caller);
});

test("a message may have as many bytes as are allowed, and no more", async () => {
  const body = (length: number): Uint8Array => {
    const bytes = Buffer.alloc(5 + length);
    bytes.writeUInt32BE(length, 1);
    return bytes;
  };
  // Zeros are no protobuf, but a message of the right size is looked at.
  expect((await ask({}, body(65_536))).status).toBe(String(Code.InvalidArgument));
  expect((await ask({}, body(65_537))).status).toBe(String(Code.ResourceExhausted));
});

describe("a codec of one method", () => {
  const own = create(StatusRequestSchema);
  const bytes = new Uint8Array(5);
  const generic = toBinary(StatusResponseSchema, create(StatusResponseSchema, { version: "v2" }));
  const codecOf = (method: keyof typeof KeyManagementService.method, codec: Partial<QuickCodec>) =>
    new Map([
      [KeyManagementService.method[method], { read: () => undefined, write: () => undefined, ...codec }],
    ]);

  test("is asked first", async () => {
    const codecs = codecOf("status", { read: () => own, write: () => Uint8Array.of(7) });
    const { received, sent } = await ask({}, bytes, codecs);
    expect(received).toBe(own);
    expect(sent).toEqual(Uint8Array.of(0, 0, 0, 0, 1, 7));
  });

  test("leaves to the generic one what it cannot read or write", async () => {
    const { status, received, sent } = await ask({}, bytes, codecOf("status", {}));
    expect(status).toBe("0");
    expect(received).toEqual(own);
    expect(sent?.subarray(5)).toEqual(generic);
  });

  test("is not asked for another method's", async () => {
    const codecs = codecOf("decrypt", { read: () => own, write: () => Uint8Array.of(7) });
    const { received, sent } = await ask({}, bytes, codecs);
    expect(received).not.toBe(own);
    expect(sent?.subarray(5)).toEqual(generic);
  });
});

test("a method receives all that Connect's interface has", async () => {
  const { context } = await ask({ "grpc-timeout": "3S" });
  expect(context?.protocolName).toBe("grpc");
  expect(context?.requestMethod).toBe("POST");
  expect(context?.url).toEndWith("/Status");
  expect(context?.method).toBe(KeyManagementService.method.status);
  expect(context?.service).toBe(KeyManagementService);
  expect(context?.requestHeader.get("grpc-timeout")).toBe("3S");
  expect(context?.requestHeader.has("te")).toBe(false);
  expect(context?.responseTrailer.get("grpc-status")).toBe("0");
  context?.responseHeader.set("x-late", "1");
  expect(context?.responseHeader.get("x-late")).toBe("1");
  expect(context?.values).toBe(context?.values);
});

test("headers that a method sets are sent for its call alone", async () => {
  let isFirst = true;
  const service: ServiceImpl<typeof KeyManagementService> = {
    status: (_request, { responseHeader, responseTrailer }) => {
      if (isFirst) {
        responseHeader.set("x-header", "1");
        responseTrailer.set("x-trailer", "2");
      }
      isFirst = false;
      return { version: "v2" };
    },
    encrypt: () => ({}),
    decrypt: () => ({}),
  };
  const [status] = unaryHandlers(KeyManagementService, service, {
    maxMessageBytes: 65_536,
    maxTimeoutMs: MAX_TIMEOUT_MS,
  });
  const call = () =>
    status?.(
      new UnaryRequest(
        "/Status",
        { ":method": "POST", "content-type": "application/grpc" },
        new Uint8Array(5),
        {},
      ),
    );
  const first = await call();
  expect(first?.header?.get("x-header")).toBe("1");
  expect(first?.trailer?.get("x-trailer")).toBe("2");
  const second = await call();
  expect(Object.fromEntries(second?.header ?? [])).toEqual({ "content-type": "application/grpc+proto" });
  expect(Object.fromEntries(second?.trailer ?? [])).toEqual({ "grpc-status": "0" });
});
