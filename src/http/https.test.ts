/** What comes back, and what goes wrong with the connection. Certificates are in tls-trust.test.ts. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createServer as createTcpServer, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { ask, codeOf, type HttpsStage, OK, openHttpsStage } from "../../test/fakes/tls/https-stage.ts";
import { makeTestCa } from "../../test/fakes/tls/test-ca.ts";

let stage: HttpsStage;
beforeAll(async () => {
  stage = await openHttpsStage();
});
afterAll(() => stage.close());

describe("a good answer", () => {
  test("status, headers and body come back, and the connection is kept", async () => {
    let connections = 0;
    const server = createTlsServer({ cert: stage.leaf.chainPem, key: stage.leaf.keyPem }, (socket) => {
      connections += 1;
      socket.on("data", () =>
        socket.write("HTTP/1.1 404 Not Found\r\nX-A: b\r\nContent-Length: 2\r\n\r\nok"),
      );
    });
    const url = await stage.listen(server);
    const transport = await stage.transportTo();
    for (let round = 0; round < 3; round += 1) {
      const { status, headers, body } = await ask(transport, url);
      expect([status, headers.get("x-a"), new TextDecoder().decode(body)]).toEqual([404, "b", "ok"]);
    }
    expect(connections).toBe(1);
    await ask(transport, url, { freshConnection: true });
    expect(connections).toBe(2);
  });

  test("nothing but our headers is sent, and no compression is offered", async () => {
    let head = "";
    const url = await stage.listen(
      createTlsServer({ cert: stage.leaf.chainPem, key: stage.leaf.keyPem }, (socket) =>
        socket.on("data", (data) => {
          head = data.toString();
          socket.end(OK);
        }),
      ),
    );
    await ask(await stage.transportTo(), url, {
      method: "POST",
      headers: { "X-Vault-Token": "t" },
      body: "{}",
    });
    expect(head).toStartWith("POST /v1/x");
    expect(head.toLowerCase()).toContain("x-vault-token: t");
    expect(head.toLowerCase()).not.toContain("accept-encoding");
    expect(head).toEndWith("\r\n\r\n{}");
  });

  test("the environment can neither switch verification off nor bring a proxy in", async () => {
    const untrusted = await (await makeTestCa()).server();
    const bad = await stage.rawServer(OK, { cert: untrusted.chainPem, key: untrusted.keyPem });
    const good = await stage.rawServer(OK);
    const transport = await stage.transportTo();
    process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0";
    process.env["HTTPS_PROXY"] = "http://127.0.0.1:9";
    try {
      expect(await codeOf(ask(transport, bad))).toBe("tls_untrusted");
      expect((await ask(transport, good)).status).toBe(200);
    } finally {
      delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"];
      delete process.env["HTTPS_PROXY"];
    }
  });
});

describe("failures of the connection", () => {
  const tcp = (answer: (socket: Socket) => void) =>
    stage.listen(
      createTcpServer((socket) => {
        socket.on("error", () => {});
        answer(socket);
      }),
    );
  const cases: readonly [string, () => Promise<string>, string][] = [
    ["nothing listens", async () => "https://127.0.0.1:1/", "connect_refused"],
    ["the name does not resolve", async () => "https://does-not-exist.invalid/", "dns_failed"],
    ["it hangs up at once", () => tcp((socket) => socket.destroy()), "connection_lost"],
    ["it resets", () => tcp((socket) => socket.resetAndDestroy()), "connection_lost"],
    [
      "it does not speak TLS",
      () => tcp((socket) => socket.on("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"))),
      "tls_not_spoken",
    ],
    [
      "TLS is too old",
      () => stage.rawServer(OK, { minVersion: "TLSv1", maxVersion: "TLSv1.1" }),
      "tls_no_shared_version",
    ],
    ["it hangs up after the request", () => stage.rawServer(""), "connection_lost"],
    [
      "half a body",
      () => stage.rawServer("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"),
      "connection_lost",
    ],
    [
      "half a chunk",
      () => stage.rawServer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"),
      "connection_lost",
    ],
    [
      "a bad chunk",
      () => stage.rawServer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhel"),
      "reply_malformed",
    ],
    [
      "endless headers",
      () => stage.rawServer(`HTTP/1.1 200 OK\r\nX: ${"a".repeat(3 << 20)}\r\n\r\n`),
      "reply_malformed",
    ],
    [
      "a redirect",
      () =>
        stage.rawServer(
          "HTTP/1.1 307 Temporary Redirect\r\nLocation: https://x/\r\nContent-Length: 0\r\n\r\n",
        ),
      "redirect_refused",
    ],
    [
      "a body announced too large",
      () => stage.rawServer("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", {}, true),
      "body_too_large",
    ],
    [
      "a body that grows too large",
      () =>
        stage.rawServer(
          `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${`1f4\r\n${"a".repeat(500)}\r\n`.repeat(3)}`,
          {},
          true,
        ),
      "body_too_large",
    ],
    [
      "a small length over a large chunked body",
      () =>
        stage.rawServer(
          `HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n5dc\r\n${"a".repeat(1500)}\r\n0\r\n\r\n`,
        ),
      "body_too_large",
    ],
  ];
  test.each(cases)("%s", async (_, server, code) => {
    expect(await codeOf(ask(await stage.transportTo(), await server()))).toBe(code);
  });

  test.each([
    ["nothing comes", ""],
    ["the headers stall", "HTTP/1.1 200 OK\r\n"],
    ["the body stalls", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"],
    ["chunks stall", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"],
  ])("%s: the deadline ends it, and so does the caller", async (_, reply) => {
    const url = await stage.rawServer(reply, {}, true);
    const transport = await stage.transportTo();
    expect(await codeOf(ask(transport, url, { timeoutMs: 30 }))).toBe("timeout");
    const caller = new AbortController();
    const answer = codeOf(ask(transport, url, { signal: caller.signal }));
    setTimeout(() => caller.abort(), 10);
    expect(await answer).toBe("canceled");
  });
});
