/**
 * @module The stand-in behind a `fetch`, without a socket. In-process mount for unit tests. Faults of the connection (reset,
 * torn, slow) belong to fake-server.ts.
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
    if (fault?.kind === "hang") {
      return await new Promise<never>((_, reject) => {
        request.signal.addEventListener("abort", () => reject(request.signal.reason), { once: true });
      });
    }
    if (fault !== undefined && fault.kind !== "reply" && fault.kind !== "rewrite") {
      throw new Error(`a fault of the connection needs the server: ${fault.kind}`);
    }
    return new Response(wire.status === 204 ? null : wire.body, {
      status: wire.status,
      headers: wire.headers,
    });
  };
}
