/** One request over a TLS library without cryptography: what is sent, what comes back, and how each part of it fails. */
import { afterEach, describe, expect, test } from "bun:test";
import { connect, createServer, type Server, Socket } from "node:net";
import { BYE, END, HELLO, memoryTls, READY } from "../../test/fakes/pkcs11/memory-tls.ts";
import { HelperFailure } from "./errors.ts";
import type { Exchange } from "./helper-protocol.ts";
import { httpsExchange } from "./https-exchange.ts";
import { tlsFailure, tlsStream } from "./tls-client.ts";

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close();
  }
});

async function portOf(server: Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

interface Peer {
  readonly port: number;
  /** Everything that the client sent, once its connection is closed. */
  readonly heard: Promise<string>;
}

/** Answers the handshake, then the request, and closes the connection. */
async function peer(answer: string, handshake = READY): Promise<Peer> {
  let tell: (text: string) => void = () => {};
  const heard = new Promise<string>((resolve) => {
    tell = resolve;
  });
  const server = createServer((socket) => {
    let text = "";
    let isAnswered = false;
    socket.on("error", () => {});
    socket.on("data", (data) => {
      const before = text;
      text += data.toString("latin1");
      if (before === "") {
        socket.write(handshake.slice(0, 3));
        setImmediate(() => socket.write(handshake.slice(3)));
      }
      if (!isAnswered && text.includes("\r\n\r\n")) {
        isAnswered = true;
        socket.end(answer, "latin1");
      }
    });
    socket.on("close", () => tell(text));
  });
  return { port: await portOf(server), heard };
}

const identity = {
  chain: [Buffer.of(1)],
  schemes: [0x0403, 0x0804],
  sign: (scheme: number): Uint8Array => Buffer.from(`SIGNED ${scheme} `),
};

function exchangeWith(port: number, change: Partial<Exchange> = {}): Exchange {
  return {
    host: "127.0.0.1",
    port,
    serverName: "bao.example",
    ca: [Buffer.of(2)],
    method: "POST",
    path: "/v1/auth/cert/login",
    headers: [
      ["host", "bao.example:8200"],
      ["x-vault-request", "true"],
    ],
    body: Buffer.from('{"name":""}'),
    maxBytes: 10,
    ...change,
  };
}

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "done",
    (error: unknown) => (error instanceof HelperFailure ? error.code : String(error)),
  );
const reply = (body: string, length = body.length): string =>
  `HTTP/1.1 201 Created\r\nContent-Length: ${length}\r\nX-One: 1\r\nSet-Cookie: a\r\n\r\n${body}`;

describe("an exchange", () => {
  test("sends one request after the handshake, and gives the answer", async () => {
    const { port, heard } = await peer(reply("0123456789") + END);
    const tls = memoryTls();
    const answer = await httpsExchange(tls, exchangeWith(port), identity);
    expect([answer.status, Buffer.from(answer.body).toString()]).toEqual([201, "0123456789"]);
    expect(answer.headers).toEqual([
      ["content-length", "10"],
      ["x-one", "1"],
    ]);
    const text = await heard;
    expect(text).toStartWith(`${HELLO}SIGNED 1027 POST /v1/auth/cert/login HTTP/1.1\r\n`);
    expect(text.toLowerCase().split("\r\n").slice(1, 5).sort()).toEqual([
      "connection: close",
      "content-length: 11",
      "host: bao.example:8200",
      "x-vault-request: true",
    ]);
    expect(text).toEndWith(`\r\n\r\n{"name":""}${BYE}`);
    expect(tls.options).toEqual([
      {
        serverName: "bao.example",
        ca: [Buffer.of(2)],
        chain: identity.chain,
        schemes: identity.schemes,
        maxPlainBytes: 10 + 128 * 1024,
      },
    ]);
  });

  test.each([
    ["is larger than the bound", reply("01234567890") + END, "answer_too_large"],
    ["ends before its length", reply("0123456789", 11) + END, "answer_invalid"],
    ["is cut off in its body", reply("012", 10), "connection_cut"],
    ["is cut off in its head", "HTTP/1.1 200", "connection_cut"],
    ["is nothing", "", "connection_cut"],
    ["is not HTTP", `nonsense\r\n\r\n${END}`, "answer_invalid"],
  ])("whose answer %s fails", async (_, answer, code) => {
    const { port } = await peer(answer);
    expect(await codeOf(httpsExchange(memoryTls(), exchangeWith(port), identity))).toBe(code);
  });

  test.each([
    ["server_untrusted", "server_untrusted"],
    ["too_large", "answer_too_large"],
    ["anything_else", "tls_failed"],
  ])("whose handshake fails with %s tells the server", async (word, code) => {
    const { port, heard } = await peer("", `ALERT ${word}\n`);
    expect(await codeOf(httpsExchange(memoryTls(), exchangeWith(port), identity))).toBe(code);
    expect(await heard).toStartWith(`${HELLO}FATAL`);
  });

  test("whose signature fails reports that, and not what TLS made of it", async () => {
    const { port } = await peer(reply(""));
    const sign = (): never => {
      throw new HelperFailure("key_mismatch");
    };
    expect(await codeOf(httpsExchange(memoryTls(), exchangeWith(port), { ...identity, sign }))).toBe(
      "key_mismatch",
    );
  });

  test("with options that the library refuses connects to nothing", async () => {
    const exchange = exchangeWith(1, { serverName: "refused" });
    expect(await codeOf(httpsExchange(memoryTls(), exchange, identity))).toBe("request_invalid");
  });

  test("to a port without a listener is refused", async () => {
    const { port } = await peer("");
    servers.splice(0).forEach((server) => server.close());
    expect(await codeOf(httpsExchange(memoryTls(), exchangeWith(port), identity))).toBe("connect_refused");
  });
});

describe("a connection", () => {
  const newClient = () =>
    new (memoryTls().TlsClient)({ serverName: "", ca: [], chain: [], schemes: [], maxPlainBytes: 1 }, () =>
      Buffer.of(),
    );
  const errorOf = (stream: ReturnType<typeof tlsStream>): Promise<unknown> =>
    new Promise((resolve) => stream.once("error", resolve));

  test.each([
    ["ENOTFOUND", "name_not_found"],
    ["EAI_AGAIN", "name_not_found"],
    ["ECONNREFUSED", "connect_refused"],
    ["EHOSTUNREACH", "connect_failed"],
    [undefined, "connect_failed"],
  ])("that is not made because of %p: %s", async (errno, code) => {
    const socket = new Socket();
    const failed = errorOf(tlsStream(newClient(), socket));
    socket.destroy(Object.assign(new Error(errno), errno === undefined ? {} : { code: errno }));
    expect(await failed).toMatchObject({ code });
  });

  test("that breaks once it is there is cut", async () => {
    const socket = new Socket();
    const failed = errorOf(tlsStream(newClient(), socket));
    socket.emit("connect");
    socket.destroy(Object.assign(new Error(), { code: "ECONNREFUSED" }));
    expect(await failed).toMatchObject({ code: "connection_cut" });
  });

  test("takes no more from the network than its reader takes from it", async () => {
    const socket = new Socket();
    const stream = tlsStream(newClient(), socket);
    stream.on("error", () => {});
    socket.emit("data", Buffer.from(READY));
    expect(socket.isPaused()).toBe(false);
    socket.emit("data", Buffer.alloc(1 << 20, "x"));
    expect(socket.isPaused()).toBe(true);
    expect(stream.read().length).toBe(1 << 20);
    stream.read();
    await new Promise(setImmediate);
    expect(socket.isPaused()).toBe(false);
    stream.destroy();
  });

  test("that the server ends whole has an end, and no failure", async () => {
    const server = createServer((socket) => socket.end(`${READY}all${END}`));
    const socket = connect({ host: "127.0.0.1", port: await portOf(server) });
    const stream = tlsStream(newClient(), socket);
    const failures: unknown[] = [];
    stream.on("error", (error) => failures.push(error));
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    const closed = new Promise((resolve) => socket.once("close", resolve));
    await new Promise((resolve) => stream.once("end", resolve));
    socket.end();
    await closed;
    expect([Buffer.concat(chunks).toString(), failures]).toEqual(["all", []]);
    stream.destroy();
  });

  test("what is written before the handshake waits for it, in its order", () => {
    const client = newClient();
    const socket = new Socket();
    const stream = tlsStream(client, socket);
    stream.on("error", () => {});
    const written: string[] = [];
    client.writePlain = (data) => void written.push(Buffer.from(data).toString());
    stream.write("one ");
    stream.write("two");
    expect(written).toEqual([]);
    socket.emit("data", Buffer.from(READY));
    expect(written).toEqual(["one ", "two"]);
    socket.emit("data", Buffer.from("more"));
    expect(written).toEqual(["one ", "two"]);
    stream.destroy();
  });
});

test("a failure of our own stays what it is", () => {
  const failure = new HelperFailure("key_mismatch");
  expect(tlsFailure(failure)).toBe(failure);
  expect(tlsFailure("no error").code).toBe("tls_failed");
});
