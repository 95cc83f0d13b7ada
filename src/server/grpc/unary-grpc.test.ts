import { describe, expect, test } from "bun:test";
import { Code, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import { KeyManagementService } from "../../kms/gen/v2/api_pb.ts";
import { unaryHandlers } from "../kms-listener.ts";
import { UnaryRequest } from "./unary-request.ts";

const MAX_TIMEOUT_MS = 60_000;

/** The answer to a Status with these headers and this body, and what the method was told of its deadline. */
async function ask(headers: Readonly<Record<string, string>>, bytes: Uint8Array = new Uint8Array(5)) {
  let seen: HandlerContext | undefined;
  const service: ServiceImpl<typeof KeyManagementService> = {
    status: (_request, context) => {
      seen = context;
      return { version: "v2" };
    },
    encrypt: () => ({}),
    decrypt: () => ({}),
  };
  const options = { maxMessageBytes: 65_536, maxTimeoutMs: MAX_TIMEOUT_MS };
  const status = unaryHandlers(KeyManagementService, service, options).find(({ requestPath }) =>
    requestPath.endsWith("/Status"),
  );
  if (status === undefined) {
    throw new Error("no handler");
  }
  const metadata = { "content-type": "application/grpc", ...headers };
  const answer = await status(new UnaryRequest({ path: "/Status", method: "POST", metadata, bytes }));
  return { status: answer.trailer?.get("grpc-status"), timeoutMs: seen?.timeoutMs() };
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
