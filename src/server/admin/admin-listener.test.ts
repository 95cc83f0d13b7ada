import { afterEach, beforeEach, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { ServerError } from "../errors.ts";
import { type AdminListener, startAdminListener } from "./admin-listener.ts";

let listener: AdminListener;
/** Ends the requests for /slow. */
let slow: {
  readonly asked: PromiseWithResolvers<void>;
  readonly end: PromiseWithResolvers<void>;
  requests: number;
};

const routes = {
  "/live": () => ({ status: 200, contentType: "application/json", body: '{"live":true}' }),
  "/ready": async () => ({ status: 503, contentType: "application/json", body: "{}" }),
  "/broken": () => {
    throw new Error("a secret");
  },
  "/slow": async () => {
    slow.requests += 1;
    slow.asked.resolve();
    await slow.end.promise;
    return { status: 200, contentType: "text/plain", body: "" };
  },
  "/large": () => ({ status: 200, contentType: "text/plain", body: "x".repeat(300_000) }),
};

const common = { field: "server.healthAddress", address: { host: "127.0.0.1", port: 0 }, routes };

beforeEach(async () => {
  slow = { asked: Promise.withResolvers(), end: Promise.withResolvers(), requests: 0 };
  listener = await startAdminListener({ ...common, connectionTimeoutMs: 200, maxConnections: 4 });
});
afterEach(() => listener.close());

const url = (path: string) => `http://127.0.0.1:${listener.port}${path}`;

function open(): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connect(listener.port, "127.0.0.1", () => resolve(socket));
    socket.on("error", () => {});
  });
}

/** All that comes back until the listener closes. */
async function exchange(text: string): Promise<string> {
  const socket = await open();
  let received = "";
  socket.on("data", (data) => {
    received += String(data);
  });
  socket.write(text);
  await new Promise((resolve) => socket.once("close", resolve));
  return received;
}

test.each([
  ["/live", "GET", 200, '{"live":true}'],
  ["/live?x", "GET", 200, '{"live":true}'],
  ["/live", "HEAD", 200, ""],
  ["/ready", "GET", 503, "{}"],
  ["/", "GET", 404, "Not Found\n"],
  ["/toString", "GET", 404, "Not Found\n"],
  ["/live", "DELETE", 405, "Method Not Allowed\n"],
  ["/broken", "GET", 500, "Internal Server Error\n"],
])("%s %s is %i", async (path, method, status, body) => {
  const reply = await fetch(url(path), { method });
  expect([reply.status, await reply.text()]).toEqual([status, body]);
});

test("a large reply arrives whole", async () => {
  expect((await (await fetch(url("/large"))).text()).length).toBe(300_000);
});

test("what could smuggle a request gets one 400 and a closed connection", async () => {
  const reply = await exchange(
    "GET /live HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /live HTTP/1.1\r\nHost: a\r\n\r\n",
  );
  expect(reply).toStartWith("HTTP/1.1 400 ");
  expect(reply.match(/HTTP\/1\.1/g)).toHaveLength(1);
  expect(await exchange(`GET / HTTP/1.1\r\nX: ${"y".repeat(10_000)}`)).toStartWith("HTTP/1.1 431 ");
});

test("of two requests on one connection only the first is looked at", async () => {
  const socket = await open();
  let received = "";
  socket.on("data", (data) => {
    received += String(data);
  });
  const closed = new Promise((resolve) => socket.once("close", resolve));
  const request = "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n";
  socket.write(request);
  await slow.asked.promise;
  await new Promise<void>((resolve) => socket.write(request, () => resolve()));
  await fetch(url("/live"));
  expect(slow.requests).toBe(1);
  slow.end.resolve();
  await closed;
  expect(received.match(/HTTP\/1\.1 200/g)).toHaveLength(1);
});

test("a request that never ends is cut off, and meanwhile others are served", async () => {
  const unfinished = await open();
  unfinished.write("GET /live HTTP/1.1\r\nHo");
  const cut = new Promise((resolve) => unfinished.once("close", resolve));
  expect((await fetch(url("/live"))).status).toBe(200);
  await cut;
});

test("held connections do not keep a scrape out", async () => {
  const held = await Promise.all(Array.from({ length: 12 }, open));
  expect((await fetch(url("/live"))).status).toBe(200);
  for (const socket of held) {
    socket.destroy();
  }
});

test("of too many connections the oldest is closed, and only that one", async () => {
  const own = await startAdminListener({ ...common, connectionTimeoutMs: 60_000, maxConnections: 2 });
  const closed: number[] = [];
  const opened: Socket[] = [];
  for (const index of [0, 1, 2]) {
    const socket = connect(own.port, "127.0.0.1");
    socket.on("error", () => {});
    socket.on("close", () => closed.push(index));
    await new Promise((resolve) => socket.once("connect", resolve));
    opened.push(socket);
  }
  await new Promise((resolve) => opened[0]?.once("close", resolve));
  expect(closed).toEqual([0]);
  const next = new Promise((resolve) => opened[1]?.once("close", resolve));
  expect((await fetch(`http://127.0.0.1:${own.port}/live`)).status).toBe(200);
  await next;
  expect(closed).toEqual([0, 1]);
  await own.close();
});

test("of too many connections that come at once as many are closed as are too many", async () => {
  const opened = await Promise.all(Array.from({ length: 12 }, open));
  const closed = (): number => opened.filter(({ closed: isClosed }) => isClosed).length;
  for (let waits = 0; closed() < 8 && waits < 30; waits += 1) {
    await Bun.sleep(5);
  }
  expect(closed()).toBe(8);
  for (const socket of opened) {
    socket.destroy();
  }
});

test.each([
  [() => ({ host: "127.0.0.1", port: listener.port }), "address_in_use"],
  [() => ({ host: "192.0.2.1", port: 0 }), "address_invalid"],
])("an address that cannot be had: %#", async (address, code) => {
  try {
    const other = await startAdminListener({ ...common, address: address() });
    await other.close();
    expect("listening").toBe(code);
  } catch (error) {
    expect(error instanceof ServerError ? [error.code, error.errorClass] : error).toEqual([
      code,
      "config_invalid",
    ]);
  }
});

test("32 connections are held at a time; the next one takes the place of the oldest", async () => {
  const own = await startAdminListener(common);
  const sockets: Socket[] = [];
  const closed: number[] = [];
  try {
    for (let index = 0; index < 33; index += 1) {
      const socket = await new Promise<Socket>((resolve) => {
        const made = connect(own.port, "127.0.0.1", () => resolve(made));
        made.on("error", () => {});
        made.once("close", () => closed.push(index));
      });
      // Answered requests end their connection; half of one keeps it.
      socket.write("GET /live HTTP/1.1\r\n");
      sockets.push(socket);
      if (index === 31) {
        expect(closed).toEqual([]);
      }
    }
    await new Promise((resolve) => sockets[0]?.once("close", resolve));
    expect(closed).toEqual([0]);
  } finally {
    await own.close();
    for (const socket of sockets) {
      socket.destroy();
    }
  }
});
