/** Requests over HTTP/2 that are not gRPC as it should be: each is answered as the gRPC protocol says, and reaches no method. */
import { describe, expect, test } from "bun:test";
import { connect as connectHttp2, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http2";
import { connect } from "node:net";
import { STATUS } from "./raw-http2.ts";
import { servedBesideHostilePeers } from "./served.ts";

const served = servedBesideHostilePeers();

describe("requests that are not gRPC as it should be", () => {
  /** One request of node:http2's client, which sends any headers and decodes the answer. */
  async function ask(headers: OutgoingHttpHeaders, body: Uint8Array): Promise<IncomingHttpHeaders> {
    const session = connectHttp2("http://localhost", {
      createConnection: () => connect(served.harness.path),
    });
    try {
      return await new Promise((resolve, reject) => {
        const stream = session.request({
          ":method": "POST",
          ":path": STATUS,
          "content-type": "application/grpc",
          te: "trailers",
          ...headers,
        });
        let answer: IncomingHttpHeaders = {};
        stream.on("response", (each) => {
          answer = each;
        });
        stream.on("trailers", (each) => {
          answer = { ...answer, ...each };
        });
        stream.on("error", reject);
        stream.on("close", () => resolve(answer));
        stream.resume();
        stream.end(body);
      });
    } finally {
      session.destroy();
    }
  }

  const NOTHING = Buffer.alloc(5);

  test.each([
    ["one that is right", {}, NOTHING, "0"],
    ["one that names protobuf", { "content-type": "application/grpc+proto" }, NOTHING, "0"],
    ["one without compression", { "grpc-encoding": "identity" }, NOTHING, "0"],
    ["compression that was announced", { "grpc-encoding": "gzip" }, NOTHING, "12"],
    ["compression that was not announced", {}, Buffer.from([1, 0, 0, 0, 0]), "13"],
    ["a malformed timeout", { "grpc-timeout": "soon" }, NOTHING, "3"],
    ["a timeout of no time", { "grpc-timeout": "0m" }, NOTHING, "4"],
    ["half an envelope", {}, Buffer.alloc(3), "3"],
    ["no message", {}, Buffer.alloc(0), "3"],
    ["two messages", {}, Buffer.alloc(10), "3"],
    ["a length that promises more", {}, Buffer.from([0, 0, 0, 0, 9]), "3"],
    ["a length above the maximum", {}, Buffer.from([0, 255, 255, 255, 255]), "8"],
    ["a path with a query", { ":path": `${STATUS}?a` }, NOTHING, "12"],
  ])("%s", async (_name, headers, body, status) => {
    const answer = await ask(headers, body);
    expect([Number(answer[":status"]), answer["grpc-status"]]).toEqual([200, status]);
  });

  test.each([
    ["application/json", "POST", 415],
    ["application/grpc-web", "POST", 415],
    ["application/grpc+json", "POST", 415],
    ["application/grpcx", "POST", 415],
    ["application/grpc", "PUT", 405],
  ])("content-type %s with %s reaches no method", async (contentType, method, status) => {
    const answer = await ask({ "content-type": contentType, ":method": method }, NOTHING);
    expect(Number(answer[":status"])).toBe(status);
    expect(served.harness.records).toHaveLength(1);
  });
});
