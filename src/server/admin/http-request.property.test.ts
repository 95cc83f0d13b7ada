import { expect, test } from "bun:test";
import fc from "fast-check";
import { decodeHttpRequest, MAX_REQUEST_BYTES } from "./http-request.ts";

const kindOf = (text: string) => decodeHttpRequest(Buffer.from(text, "latin1")).kind;

test.each([
  ["GET /live HTTP/1.1\r\nHost: a\r\n\r\n", "/live"],
  ["GET /live HTTP/1.0\r\n\r\n", "/live"],
  ["HEAD /metrics?x=1 HTTP/1.1\r\nhost: a\r\nAccept: */*\r\nContent-Length: 0\r\n\r\n", "/metrics"],
])("%p is a request", (text, path) => {
  expect(decodeHttpRequest(Buffer.from(text))).toMatchObject({ kind: "complete", path });
});

test.each([
  ["no Host", "GET / HTTP/1.1\r\n\r\n"],
  ["two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"],
  ["a body", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"],
  ["a signed length", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +0\r\n\r\n"],
  ["two lengths in one", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0, 0\r\n\r\n"],
  ["chunks", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"],
  [
    "chunks and a length",
    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
  ],
  ["a hidden encoding", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n"],
  ["a folded line", "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n"],
  ["a bare line feed", "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n"],
  ["a second request", "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n"],
  ["an absolute target", "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n"],
  ["a NUL", "GET / HTTP/1.1\r\nHost: a\0\r\n\r\n"],
  ["a first line that is none", "hello\r\n"],
  ["a leading empty line", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"],
])("%s is malformed", (_name, text) => {
  expect(kindOf(text)).toBe("malformed");
});

test("a header section has a longest length", () => {
  const head = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
  const fill = (total: number) => `${head}${"y".repeat(total - head.length - 4)}\r\n\r\n`;
  expect(MAX_REQUEST_BYTES).toBe(8192);
  expect(kindOf(fill(MAX_REQUEST_BYTES))).toBe("complete");
  expect(kindOf(fill(MAX_REQUEST_BYTES + 1))).toBe("too_large");
  expect(kindOf(head + "y".repeat(MAX_REQUEST_BYTES))).toBe("too_large");
});

test("any bytes give an answer, and a cut request is never complete", () => {
  const whole = Buffer.from("GET /ready HTTP/1.1\r\nHost: localhost\r\nUser-Agent: x\r\n\r\n");
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 400 }),
      fc.nat({ max: whole.length - 1 }),
      fc.nat(255),
      (noise, cut, byte) => {
        expect(["incomplete", "malformed", "complete"]).toContain(decodeHttpRequest(noise).kind);
        expect(decodeHttpRequest(whole.subarray(0, cut)).kind).toBe("incomplete");
        const changed = Buffer.from(whole);
        changed[cut] = byte;
        expect(["incomplete", "malformed", "complete"]).toContain(decodeHttpRequest(changed).kind);
      },
    ),
  );
});
