import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createTcpServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createTlsServer, type TlsOptions } from "node:tls";
import { manualClock } from "../../test/fakes/manual-clock.ts";
import { type Leaf, makeTestCa, type TestCa } from "../../test/fakes/tls/test-ca.ts";
import { Secret } from "../base/secret.ts";
import { type CaFile, openCaFile } from "./ca-file.ts";
import { TransportError } from "./errors.ts";
import { createHttpTransport, type HttpRequest, type HttpTransport } from "./https.ts";

const HOUR_MS = 3_600_000;
const NAMES = {
  what: "OpenBao",
  addressField: "openbao.address",
  caField: "openbao.caCertFile",
  serverNameField: "openbao.tlsServerName",
};

let dir: string;
let ca: TestCa;
let leaf: Leaf;
const open: { close: () => unknown }[] = [];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "transport-"));
  ca = await makeTestCa();
  leaf = await ca.server();
});

afterAll(() => {
  for (const each of open) {
    each.close();
  }
  rmSync(dir, { recursive: true });
});

const caPath = (): string => join(dir, "ca.pem");

async function trustOf(pem: string): Promise<CaFile> {
  writeFileSync(caPath(), pem);
  chmodSync(caPath(), 0o644);
  return openCaFile({
    path: caPath(),
    field: "openbao.caCertFile",
    serviceUid: process.getuid?.() ?? 0,
  });
}

async function transportTo(options: Partial<Parameters<typeof createHttpTransport>[0]> = {}) {
  const transport = createHttpTransport({
    names: NAMES,
    trust: await trustOf(ca.certPem),
    serverName: "localhost",
    clock: manualClock(),
    ...options,
  });
  open.push(transport);
  return transport;
}

function listen(server: Server): Promise<string> {
  open.push(server);
  server.on("tlsClientError", () => {});
  return new Promise((resolve, reject) =>
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      if (address === null || typeof address === "string") {
        reject(new Error("not a TCP server"));
        return;
      }
      resolve(`https://127.0.0.1:${address.port}/v1/x?secret=1`);
    }),
  );
}

/** A TLS server that says `reply` to every request and then, unless told to stay, hangs up. */
function rawServer(reply: string, options: TlsOptions = {}, stay = false): Promise<string> {
  return listen(
    createTlsServer({ cert: leaf.chainPem, key: leaf.keyPem, ...options }, (socket) => {
      socket.on("error", () => {});
      socket.on("data", () => {
        if (stay) {
          socket.write(reply);
        } else {
          socket.end(reply);
        }
      });
    }),
  );
}

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

const ask = (transport: HttpTransport, url: string, more: Partial<HttpRequest> = {}) =>
  transport.request({
    method: "GET",
    url,
    headers: {},
    signal: new AbortController().signal,
    timeoutMs: 2000,
    maxBytes: 1000,
    ...more,
  });

async function codeOf(answer: Promise<unknown>): Promise<string> {
  const error: unknown = await answer.then(
    () => "answered",
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof TransportError)) {
    return String(error);
  }
  expect(error.message).not.toContain("secret=1");
  return error.code;
}

describe("a good answer", () => {
  test("status, headers and body come back, and the connection is kept", async () => {
    let connections = 0;
    const server = createTlsServer({ cert: leaf.chainPem, key: leaf.keyPem }, (socket) => {
      connections += 1;
      socket.on("data", () =>
        socket.write("HTTP/1.1 404 Not Found\r\nX-A: b\r\nContent-Length: 2\r\n\r\nok"),
      );
    });
    const url = await listen(server);
    const transport = await transportTo();
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
    const url = await listen(
      createTlsServer({ cert: leaf.chainPem, key: leaf.keyPem }, (socket) =>
        socket.on("data", (data) => {
          head = data.toString();
          socket.end(OK);
        }),
      ),
    );
    await ask(await transportTo(), url, { method: "POST", headers: { "X-Vault-Token": "t" }, body: "{}" });
    expect(head).toStartWith("POST /v1/x");
    expect(head.toLowerCase()).toContain("x-vault-token: t");
    expect(head.toLowerCase()).not.toContain("accept-encoding");
    expect(head).toEndWith("\r\n\r\n{}");
  });

  test("the environment can neither switch verification off nor bring a proxy in", async () => {
    const untrusted = await (await makeTestCa()).server();
    const bad = await rawServer(OK, { cert: untrusted.chainPem, key: untrusted.keyPem });
    const good = await rawServer(OK);
    const transport = await transportTo();
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

describe("certificates", () => {
  const refused: readonly [string, () => Promise<Leaf>, string][] = [
    ["of another CA", async () => (await makeTestCa()).server(), "tls_untrusted"],
    [
      "without its intermediate",
      async () => leafAlone(await (await ca.intermediate()).server()),
      "tls_untrusted",
    ],
    ["for another name", () => ca.server({ dnsNames: ["other.test"] }), "tls_name_mismatch"],
    [
      "for our address only",
      () => ca.server({ dnsNames: [], commonName: "other.test" }),
      "tls_name_mismatch",
    ],
    ["that has expired", () => ca.server({ notAfter: new Date(Date.now() - HOUR_MS / 2) }), "tls_expired"],
    ["of tomorrow", () => ca.server({ notBefore: new Date(Date.now() + HOUR_MS) }), "tls_not_yet_valid"],
    ["for clients", () => ca.client({ dnsNames: ["localhost"] }), "tls_wrong_usage"],
  ];
  test.each(refused)("one %s is refused", async (_, make, code) => {
    const { chainPem, keyPem } = await make();
    const url = await rawServer(OK, { cert: chainPem, key: keyPem });
    expect(await codeOf(ask(await transportTo(), url))).toBe(code);
  });

  const leafAlone = (whole: Leaf): Leaf => ({ ...whole, chainPem: whole.certPem });

  test("a client certificate is shown when there is one", async () => {
    const client = await ca.client();
    const url = await rawServer(OK, { requestCert: true, rejectUnauthorized: true, ca: ca.certPem });
    const identity = { chainPem: client.chainPem, keyPem: new Secret(client.keyPem) };
    expect((await ask(await transportTo({ identity }), url)).status).toBe(200);
    expect(await codeOf(ask(await transportTo(), url))).not.toBe("answered");
  });

  test("a new CA bundle is used at the first refusal, without a failed request", async () => {
    const next = await makeTestCa();
    const nextLeaf = await next.server();
    const url = await rawServer(OK, { cert: nextLeaf.chainPem, key: nextLeaf.keyPem });
    const transport = await transportTo();
    expect(await codeOf(ask(transport, url))).toBe("tls_untrusted");
    writeFileSync(caPath(), next.certPem);
    expect((await ask(transport, url)).status).toBe(200);
  });

  test("a connection made under the old CA bundle is not used under the new one", async () => {
    const clock = manualClock();
    const url = await rawServer(OK, {}, true);
    const transport = await transportTo({ clock });
    expect((await ask(transport, url)).status).toBe(200);
    writeFileSync(caPath(), (await makeTestCa()).certPem);
    expect(await transport.reloadTrust()).toBe(true);
    expect(await codeOf(ask(transport, url))).toBe("tls_untrusted");
  });

  test("a CA bundle that turns bad is reported while the old one goes on", async () => {
    const clock = manualClock();
    const problems: unknown[] = [];
    const url = await rawServer(OK, {}, true);
    const transport = await transportTo({ clock, onTrustProblem: (error) => problems.push(error) });
    writeFileSync(caPath(), "half of a bun");
    await clock.advance(10_000);
    expect((await ask(transport, url)).status).toBe(200);
    for (let turn = 0; turn < 100 && problems.length === 0; turn += 1) {
      await Bun.sleep(1);
    }
    expect(problems).toMatchObject([{ code: "ca_invalid" }]);
    expect((await ask(transport, url)).status).toBe(200);
  });
});

describe("failures on the way", () => {
  const tcp = (answer: (socket: Socket) => void) =>
    listen(
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
      "tls_handshake_failed",
    ],
    [
      "TLS is too old",
      () => rawServer(OK, { minVersion: "TLSv1", maxVersion: "TLSv1.1" }),
      "tls_handshake_failed",
    ],
    ["it hangs up after the request", () => rawServer(""), "connection_lost"],
    ["half a body", () => rawServer("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"), "connection_lost"],
    [
      "half a chunk",
      () => rawServer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"),
      "connection_lost",
    ],
    [
      "a bad chunk",
      () => rawServer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhel"),
      "reply_malformed",
    ],
    [
      "endless headers",
      () => rawServer(`HTTP/1.1 200 OK\r\nX: ${"a".repeat(3 << 20)}\r\n\r\n`),
      "reply_malformed",
    ],
    [
      "a redirect",
      () => rawServer("HTTP/1.1 307 Temporary Redirect\r\nLocation: https://x/\r\nContent-Length: 0\r\n\r\n"),
      "redirect_refused",
    ],
    [
      "a body announced too large",
      () => rawServer("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", {}, true),
      "body_too_large",
    ],
    [
      "a body that grows too large",
      () =>
        rawServer(
          `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${`1f4\r\n${"a".repeat(500)}\r\n`.repeat(3)}`,
          {},
          true,
        ),
      "body_too_large",
    ],
    [
      "a small length over a large chunked body",
      () =>
        rawServer(
          `HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n5dc\r\n${"a".repeat(1500)}\r\n0\r\n\r\n`,
        ),
      "body_too_large",
    ],
  ];
  test.each(cases)("%s", async (_, server, code) => {
    expect(await codeOf(ask(await transportTo(), await server()))).toBe(code);
  });

  test.each([
    ["nothing comes", ""],
    ["the headers stall", "HTTP/1.1 200 OK\r\n"],
    ["the body stalls", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"],
    ["chunks stall", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"],
  ])("%s: the deadline ends it, and so does the caller", async (_, reply) => {
    const url = await rawServer(reply, {}, true);
    const transport = await transportTo();
    expect(await codeOf(ask(transport, url, { timeoutMs: 30 }))).toBe("timeout");
    const caller = new AbortController();
    const answer = codeOf(ask(transport, url, { signal: caller.signal }));
    setTimeout(() => caller.abort(), 10);
    expect(await answer).toBe("canceled");
  });
});
