/** What the transport asks of the runtime's fetch, and how much of an answer it reads. */
import { describe, expect, test } from "bun:test";
import { manualClock } from "../../test/fakes/manual-clock.ts";
import { Secret } from "../base/secret.ts";
import { TransportError } from "./errors.ts";
import { createHttpTransport, type HttpRequest } from "./https.ts";

const NAMES = { what: "OpenBao", addressField: "a", caField: "c", serverNameField: "s" };
const REQUEST: HttpRequest = {
  method: "GET",
  url: "https://bao.test:8200/v1/x",
  headers: { "X-A": "b" },
  signal: new AbortController().signal,
  timeoutMs: 1000,
  maxBytes: 4,
};
const untrusted = Object.assign(new Error("x"), { code: "DEPTH_ZERO_SELF_SIGNED_CERT" });
type Answer = () => Response | Promise<Response>;

function setUp(
  answers: Answer[],
  more: { readonly identity?: { readonly chainPem: string; readonly keyPem: Secret } } = {},
  refresh: () => Promise<boolean> = async () => false,
) {
  const clock = manualClock();
  const inits: Bun.FetchSessionInit[] = [];
  const fetches: unknown[] = [];
  const problems: unknown[] = [];
  const counts = { refreshed: 0, closed: 0 };
  const transport = createHttpTransport({
    names: NAMES,
    trust: {
      pem: () => `pem ${counts.refreshed}`,
      refresh: () => {
        counts.refreshed += 1;
        return refresh();
      },
    },
    serverName: "bao.test",
    clock,
    onTrustProblem: (error) => problems.push(error),
    ...more,
    openSession: (init) => {
      inits.push(init);
      return {
        fetch: async (_, options) => {
          fetches.push(options);
          const next = answers.length > 1 ? answers.shift() : answers[0];
          return (next ?? (() => new Response("ok")))();
        },
        close: () => {
          counts.closed += 1;
        },
      };
    },
  });
  return { transport, clock, inits, fetches, counts, problems };
}

const codeOf = (answer: Promise<unknown>): Promise<unknown> =>
  answer.then(
    () => "ok",
    (error: unknown) => (error instanceof TransportError ? error.code : error),
  );

describe("a connection", () => {
  test("verifies the server, takes no proxy and bounds what is kept open", () => {
    const { inits } = setUp([]);
    expect(inits).toMatchObject([
      {
        tls: { rejectUnauthorized: true, ca: "pem 0", serverName: "bao.test" },
        proxy: false,
        keepAlive: { idleTimeout: 60, maxIdleSockets: 64 },
      },
    ]);
    expect(inits[0]?.tls).not.toHaveProperty("cert");
  });

  test("shows the client certificate that there is", () => {
    const { inits } = setUp([], { identity: { chainPem: "chain", keyPem: new Secret("key") } });
    expect(inits[0]?.tls).toMatchObject({ cert: "chain", key: "key" });
  });
});

describe("a request", () => {
  test("follows no redirect, offers no compression, logs nothing", async () => {
    const { transport, fetches } = setUp([]);
    await transport.request(REQUEST);
    expect(fetches).toMatchObject([
      { method: "GET", headers: { "X-A": "b" }, redirect: "error", decompress: false, verbose: false },
    ]);
    expect(fetches).toMatchObject([{ body: null, keepalive: true }]);
  });

  test("has the body and the connection that were asked for", async () => {
    const { transport, fetches } = setUp([]);
    await transport.request({ ...REQUEST, method: "POST", body: "{}", freshConnection: true });
    await transport.request({ ...REQUEST, freshConnection: false });
    expect(fetches[0]).toMatchObject({ method: "POST", body: "{}", keepalive: false });
    expect(fetches[1]).toMatchObject({ body: null, keepalive: true });
  });
});

describe("an answer", () => {
  const body = (text: string, headers: Record<string, string>, onCancel: () => void = () => {}): Answer => {
    const stream = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        for (const each of text) {
          controller.enqueue(Buffer.from(each));
        }
        if (text.length <= REQUEST.maxBytes) {
          controller.close();
        }
      },
      cancel: onCancel,
    });
    return () => new Response(stream, { headers });
  };
  const textOf = async (answer: Answer): Promise<unknown> => {
    const { transport } = setUp([answer]);
    return transport.request(REQUEST).then(
      (reply) => new TextDecoder().decode(reply.body),
      (error: unknown) => (error instanceof TransportError ? error.code : error),
    );
  };

  test.each([
    ["announced, exactly the bound", body("abcd", { "content-length": "4" }), "abcd"],
    ["announced, above the bound", body("abcd", { "content-length": "5" }), "body_too_large"],
    ["not announced, exactly the bound", body("abcd", {}), "abcd"],
    ["not announced, above the bound", body("abcde", {}), "body_too_large"],
    [
      "announced as short, sent in chunks above the bound",
      body("abcde", { "content-length": "1", "transfer-encoding": "chunked" }),
      "body_too_large",
    ],
    ["none", () => new Response(null, { status: 204 }), ""],
  ])("with a body %s", async (_, answer, expected) => {
    expect(await textOf(answer)).toBe(expected);
  });

  test.each([
    ["announced", { "content-length": "5" }],
    ["not announced", {}],
  ])("that is too large, %s, is read no further", async (_, headers) => {
    let cancelled = 0;
    const answer = body("abcde", headers, () => {
      cancelled += 1;
    });
    expect(await textOf(answer)).toBe("body_too_large");
    expect(cancelled).toBe(1);
  });
});

describe("the CA bundle", () => {
  test("is read again beside a request, 10 seconds after it was last read", async () => {
    const { transport, clock, counts } = setUp([]);
    await transport.request(REQUEST);
    clock.pass(9999);
    await transport.request(REQUEST);
    expect(counts.refreshed).toBe(0);
    clock.pass(1);
    await transport.request(REQUEST);
    await transport.request(REQUEST);
    expect(counts).toEqual({ refreshed: 1, closed: 0 });
  });

  test("is read again when a certificate is refused; unchanged, the request fails", async () => {
    const { transport, counts, fetches } = setUp([() => Promise.reject(untrusted)]);
    expect(await codeOf(transport.request(REQUEST))).toBe("tls_untrusted");
    expect([counts.refreshed, fetches.length]).toEqual([1, 1]);
  });

  test("changed, is used for a second attempt, whose failure counts", async () => {
    const good = setUp([() => Promise.reject(untrusted), () => new Response("ok")], {}, async () => true);
    expect((await good.transport.request(REQUEST)).status).toBe(200);
    expect(good.inits.map(({ tls }) => tls)).toMatchObject([{ ca: "pem 0" }, { ca: "pem 1" }]);
    expect(good.counts.closed).toBe(1);
    const bad = setUp([() => Promise.reject(untrusted)], {}, async () => true);
    expect(await codeOf(bad.transport.request(REQUEST))).toBe("tls_untrusted");
    expect([bad.counts.refreshed, bad.fetches.length]).toEqual([1, 2]);
  });

  test("is not read again for another failure", async () => {
    const reset = Object.assign(new Error("x"), { code: "ECONNRESET" });
    const { transport, counts, fetches } = setUp([() => Promise.reject(reset)], {}, async () => true);
    expect(await codeOf(transport.request(REQUEST))).toBe("connection_lost");
    expect([counts.refreshed, fetches.length]).toEqual([0, 1]);
  });

  test("that is unusable is reported, and a reload that was asked for fails", async () => {
    const broken = new Error("broken");
    const { transport, problems } = setUp([() => Promise.reject(untrusted)], {}, () =>
      Promise.reject(broken),
    );
    expect(await codeOf(transport.request(REQUEST))).toBe("tls_untrusted");
    expect(problems).toEqual([broken]);
    expect(await codeOf(transport.reloadTrust())).toBe(broken);
  });

  test("is not needed to close", () => {
    const { transport, counts } = setUp([]);
    transport.close();
    expect(counts.closed).toBe(1);
  });
});
