/**
 * The stand-in behind a `fetch`, without a socket.
 *
 * @module In-process mount for unit tests. Faults that need a real connection (TLS, half-open) belong to fake-server.ts.
 */
import type { FakeOpenBao } from "./fake-openbao.ts";
import { wireReply } from "./faults.ts";

/** The part of `fetch` that callers use, so that a fake needs no more. */
export type FetchLike = (input: string | URL, init?: RequestInit) => Promise<Response>;

/** A `fetch` that reaches only this OpenBao, under any https address. */
export function fakeFetch(openbao: FakeOpenBao, now: () => number = Date.now): FetchLike {
  return async (input, init) => {
    const request = new Request(input instanceof URL ? input.href : input, init);
    request.signal.throwIfAborted();
    const url = new URL(request.url);
    const { reply, fault } = openbao.handle({
      method: request.method,
      target: url.pathname + url.search,
      headers: Object.fromEntries(request.headers),
      body: await request.text(),
    });
    const wire = wireReply(reply, fault, now());
    const respond = (body: string | ReadableStream<Uint8Array>): Response =>
      new Response(wire.status === 204 ? null : body, { status: wire.status, headers: wire.headers });
    switch (fault?.kind) {
      case "hang":
        return await new Promise<never>((_, reject) => {
          request.signal.addEventListener("abort", () => reject(request.signal.reason), { once: true });
        });
      case "reset":
        throw Object.assign(new TypeError("connection reset"), { code: "ECONNRESET" });
      case "torn":
        return respond(tornBody(wire.body));
      case "slow":
        return respond(slowBody(wire.body, fault.bytesPerSecond, request.signal));
      case "reply":
        if (wire.status >= 300 && wire.status < 400 && init?.redirect === "error") {
          throw Object.assign(new TypeError("redirect refused"), { code: "UnexpectedRedirect" });
        }
        return respond(wire.body);
      default:
        return respond(wire.body);
    }
  };
}

function tornBody(text: string): ReadableStream<Uint8Array> {
  const half = Buffer.from(text).subarray(0, Math.floor(text.length / 2));
  return new ReadableStream({
    pull: (controller) => {
      controller.enqueue(new Uint8Array(half));
      controller.error(Object.assign(new TypeError("connection closed"), { code: "ECONNRESET" }));
    },
  });
}

function slowBody(text: string, bytesPerSecond: number, signal: AbortSignal): ReadableStream<Uint8Array> {
  const bytes = new Uint8Array(Buffer.from(text));
  let at = 0;
  return new ReadableStream({
    pull: async (controller) => {
      await new Promise((resolve) => setTimeout(resolve, 1000 / bytesPerSecond));
      if (signal.aborted) {
        controller.error(signal.reason);
      } else if (at >= bytes.length) {
        controller.close();
      } else {
        controller.enqueue(bytes.slice(at, at + 1));
        at += 1;
      }
    },
  });
}
