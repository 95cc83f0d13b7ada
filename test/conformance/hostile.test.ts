/**
 * What hostile peers on the socket can do to others: nothing.
 *
 * Each attack runs while another caller goes on calling; afterwards the provider must still serve, hold no session of the
 * attacker and keep no call.
 */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { connect as connectHttp2, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http2";
import { connect } from "node:net";
import { DEFAULT_SESSION_LIMITS } from "../../src/server/kms-listener.ts";
import { type Harness, type KmsClient, kmsClient, SERVICE, startHarness } from "./harness.ts";
import {
  FLAG,
  FRAME,
  frame,
  headerBlock,
  PREFACE,
  type RawConnection,
  rawConnection,
  request,
  requestFields,
  settings,
} from "./raw-http2.ts";

const STATUS = `${SERVICE}Status`;
const GREETING = [PREFACE, settings()];

let harness: Harness;
let caller: KmsClient;

beforeEach(async () => {
  harness = await startHarness({
    limits: { handshakeTimeoutMs: 150, firstCallTimeoutMs: 400, requestTimeoutMs: 150 },
  });
  caller = kmsClient(harness.path);
  await caller.status();
});

afterEach(async () => {
  caller.close();
  await harness.stop();
});

/** Sends the same bytes again and again, letting the event loop turn, until the server closes or `times` is reached. */
async function flood(connection: RawConnection, bytes: Uint8Array, times: number): Promise<void> {
  for (let turn = 0; turn < times && !connection.isClosed; turn += 1) {
    connection.send(bytes);
    await Bun.sleep(0);
  }
}

function many(count: number, make: (index: number) => Uint8Array): Uint8Array {
  return Buffer.concat(Array.from({ length: count }, (_, index) => make(index)));
}

const requestHeaders = (streamId: number, flags = 0) =>
  frame(FRAME.headers, flags, streamId, headerBlock(requestFields(STATUS)));

/** Every one of these ends with the server closing the connection: at once where Bun counts them, else by a timeout. */
const endsConnection: readonly (readonly [
  name: string,
  attack: (peer: RawConnection) => Promise<void> | void,
])[] = [
  ["HTTP/1.1", (peer) => peer.send(Buffer.from("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"))],
  ["garbage", (peer) => peer.send(many(1000, (index) => Buffer.from([(index * 37) % 251])))],
  ["silence from the start", () => {}],
  ["half a preface", (peer) => peer.send(PREFACE.subarray(0, 12))],
  ["silence after the preface", (peer) => peer.send(PREFACE)],
  ["a greeting and no request", (peer) => peer.send(...GREETING)],
  [
    "a header list that is too long",
    (peer) => {
      const fields = requestFields(STATUS, [
        ["x", "y".repeat(15_000)],
        ["z", "y".repeat(1400)],
      ]);
      peer.send(...GREETING, frame(FRAME.headers, FLAG.endHeaders, 1, headerBlock(fields)));
    },
  ],
  [
    "endless CONTINUATION",
    async (peer) => {
      peer.send(...GREETING, requestHeaders(1));
      await flood(peer, frame(FRAME.continuation, 0, 1, headerBlock([["x", "y".repeat(8000)]])), 2000);
    },
  ],
  [
    "empty CONTINUATION without end",
    async (peer) => {
      peer.send(...GREETING, requestHeaders(1));
      await flood(
        peer,
        many(5000, () => frame(FRAME.continuation, 0, 1)),
        200,
      );
    },
  ],
  [
    "pings",
    async (peer) => {
      peer.send(...GREETING);
      await flood(
        peer,
        many(1000, () => frame(FRAME.ping, 0, 0, Buffer.alloc(8))),
        500,
      );
    },
  ],
  [
    "settings",
    async (peer) => {
      peer.send(...GREETING);
      await flood(
        peer,
        many(1000, () => settings([4, 65_535])),
        500,
      );
    },
  ],
  [
    "empty DATA",
    async (peer) => {
      peer.send(...GREETING, requestHeaders(1, FLAG.endHeaders));
      await flood(
        peer,
        many(1000, () => frame(FRAME.data, 0, 1)),
        500,
      );
    },
  ],
  [
    "window updates",
    async (peer) => {
      peer.send(...GREETING);
      await flood(
        peer,
        many(1000, () => frame(FRAME.windowUpdate, 0, 0, Buffer.from([0, 0, 0, 1]))),
        500,
      );
    },
  ],
  [
    "frames of an unknown type",
    async (peer) => {
      peer.send(...GREETING);
      await flood(
        peer,
        many(1000, () => frame(77, 0, 0, Buffer.alloc(100))),
        500,
      );
    },
  ],
  [
    "priorities",
    async (peer) => {
      peer.send(...GREETING);
      await flood(
        peer,
        many(5000, (index) => frame(FRAME.priority, 0, 1 + 2 * index, Buffer.from([0, 0, 0, 0, 1]))),
        500,
      );
    },
  ],
  [
    "a frame above the maximum size",
    (peer) => peer.send(...GREETING, frame(FRAME.data, 0, 1, Buffer.alloc(20_000))),
  ],
  [
    "HPACK that is none",
    (peer) =>
      peer.send(
        ...GREETING,
        frame(FRAME.headers, FLAG.endHeaders, 1, Buffer.from([0xff, 0xff, 0xff, 0xff, 0x7f])),
      ),
  ],
  [
    "streams opened and reset",
    async (peer) => {
      peer.send(...GREETING);
      for (let id = 1; id < 40_000 && !peer.isClosed; id += 200) {
        peer.send(
          many(100, (index) =>
            Buffer.concat([
              requestHeaders(id + 2 * index, FLAG.endHeaders),
              frame(FRAME.rstStream, 0, id + 2 * index, Buffer.from([0, 0, 0, 8])),
            ]),
          ),
        );
        await Bun.sleep(0);
      }
    },
  ],
  [
    "streams that make the server reset",
    async (peer) => {
      peer.send(...GREETING);
      for (let id = 1; id < 40_000 && !peer.isClosed; id += 200) {
        peer.send(
          many(100, (index) =>
            Buffer.concat([
              requestHeaders(id + 2 * index, FLAG.endHeaders),
              frame(FRAME.windowUpdate, 0, id + 2 * index, Buffer.alloc(4)),
            ]),
          ),
        );
        await Bun.sleep(0);
      }
    },
  ],
];

describe("the connection is closed, and another caller notices nothing", () => {
  test.each(endsConnection)("%s", async (_name, attack) => {
    const peer = await rawConnection(harness.path);
    let slowestMs = 0;
    const attackEnded = new AbortController();
    const calling = (async () => {
      while (!attackEnded.signal.aborted) {
        const startMs = performance.now();
        await caller.status();
        slowestMs = Math.max(slowestMs, performance.now() - startMs);
      }
    })();
    await attack(peer);
    await Promise.race([peer.closed, Bun.sleep(3000)]);
    expect(peer.isClosed).toBe(true);
    attackEnded.abort();
    await calling;
    expect(slowestMs).toBeLessThan(1000);
    await Bun.sleep(30);
    expect([harness.listener.sessions, harness.listener.calls]).toEqual([1, 0]);
  });
});

describe("the stream is refused, the connection goes on", () => {
  async function statusOf(peer: RawConnection, streamId: number): Promise<string> {
    const answer = await peer.waitFor(
      `answer on ${streamId}`,
      (each) => each.streamId === streamId && (each.type === FRAME.rstStream || each.type === FRAME.headers),
    );
    return answer.type === FRAME.rstStream ? `reset ${answer.payload.readUInt32BE(0)}` : "headers";
  }

  async function thenServes(peer: RawConnection, streamId: number): Promise<void> {
    peer.send(request(streamId, STATUS));
    await peer.waitFor("message", (each) => each.streamId === streamId && each.type === FRAME.data);
    peer.destroy();
  }

  test("too many header fields", async () => {
    const peer = await rawConnection(harness.path);
    const extra = Array.from({ length: 100 }, (_, index) => [`x-${index}`, "y"] as const);
    peer.send(
      ...GREETING,
      frame(FRAME.headers, FLAG.endHeaders, 1, headerBlock(requestFields(STATUS, extra))),
    );
    expect(await statusOf(peer, 1)).toBe("reset 11");
    expect(harness.records).toHaveLength(1);
    await thenServes(peer, 3);
  });

  test("a request without an end is given up", async () => {
    const peer = await rawConnection(harness.path);
    peer.send(...GREETING, requestHeaders(1, FLAG.endHeaders));
    expect(await statusOf(peer, 1)).toBe("headers");
    expect(harness.listener.calls).toBe(0);
    await thenServes(peer, 3);
  });

  test("a body without an end is given up at its limit", async () => {
    const peer = await rawConnection(harness.path);
    peer.send(...GREETING, requestHeaders(1, FLAG.endHeaders));
    peer.send(...Array.from({ length: 5 }, () => frame(FRAME.data, 0, 1, Buffer.alloc(13_107))));
    await peer.waitFor("window", (each) => each.type === FRAME.windowUpdate && each.streamId === 1);
    peer.send(frame(FRAME.data, 0, 1, Buffer.alloc(10)));
    expect(await statusOf(peer, 1)).toBe("headers");
    await thenServes(peer, 3);
  });

  test("streams above the maximum are refused, those below are served", async () => {
    const peer = await rawConnection(harness.path);
    const max = DEFAULT_SESSION_LIMITS.maxStreamsPerSession;
    peer.send(
      ...GREETING,
      many(max + 5, (index) => requestHeaders(1 + 2 * index, FLAG.endHeaders)),
    );
    expect(await statusOf(peer, 1 + 2 * max)).toBe("reset 7");
    peer.send(frame(FRAME.data, FLAG.endStream, 1, Buffer.alloc(5)));
    await peer.waitFor("message", (each) => each.streamId === 1 && each.type === FRAME.data);
    peer.destroy();
  });
});

describe("requests that are not gRPC as it should be", () => {
  /** One request of node:http2's client, which sends any headers and decodes the answer. */
  async function ask(headers: OutgoingHttpHeaders, body: Uint8Array): Promise<IncomingHttpHeaders> {
    const session = connectHttp2("http://localhost", { createConnection: () => connect(harness.path) });
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
    expect(harness.records).toHaveLength(1);
  });
});

describe("connections", () => {
  test("a thousand at once and a thousand in turn keep no caller out", async () => {
    const held: RawConnection[] = [];
    for (let index = 0; index < 1000; index += 1) {
      held.push(await rawConnection(harness.path));
      if (index % 100 === 0) {
        const fresh = kmsClient(harness.path);
        expect((await fresh.status()).healthz).toBe("ok");
        expect((await caller.status()).healthz).toBe("ok");
        fresh.close();
      }
    }
    expect(harness.listener.sessions).toBeLessThanOrEqual(DEFAULT_SESSION_LIMITS.maxSessions);
    for (const each of held) {
      each.destroy();
    }
    for (let index = 0; index < 1000; index += 1) {
      (await rawConnection(harness.path)).destroy();
    }
    expect((await caller.status()).healthz).toBe("ok");
  });

  test("sessions that did call are evicted after those that never did", async () => {
    const peers: RawConnection[] = [];
    for (let index = 0; index < DEFAULT_SESSION_LIMITS.maxSessions + 10; index += 1) {
      const peer = await rawConnection(harness.path);
      peer.send(...GREETING);
      peers.push(peer);
    }
    expect((await caller.status()).healthz).toBe("ok");
    expect(peers.filter((peer) => peer.isClosed).length).toBeGreaterThanOrEqual(10);
    for (const each of peers) {
      each.destroy();
    }
  });

  test("a reader that never reads is bounded", async () => {
    const peer = await rawConnection(harness.path);
    peer.socket.pause();
    peer.send(PREFACE, settings([4, 0]));
    for (let id = 1; id < 600; id += 2) {
      peer.send(request(id, STATUS));
    }
    await Bun.sleep(50);
    expect((await caller.status()).healthz).toBe("ok");
    peer.destroy();
    await Bun.sleep(30);
    expect([harness.listener.sessions, harness.listener.calls]).toEqual([1, 0]);
  });

  test("pings of a client that keeps its connection alive are answered", async () => {
    const peer = await rawConnection(harness.path);
    peer.send(...GREETING);
    for (let index = 0; index < 20; index += 1) {
      peer.send(frame(FRAME.ping, 0, 0, Buffer.alloc(8, index)));
      await peer.waitFor(
        "pong",
        (each) => each.type === FRAME.ping && each.flags === FLAG.ack && each.payload[0] === index,
      );
    }
    expect(peer.isClosed).toBe(false);
    peer.destroy();
  });
});

describe("the end", () => {
  test("calls under way finish, new ones are refused, the socket is gone", async () => {
    const release = Promise.withResolvers<string>();
    harness.transit.override.encrypt = () => release.promise;
    const underWay = caller.encrypt({ plaintext: Buffer.alloc(32) });
    while (harness.started.length < 2) {
      await Bun.sleep(1);
    }
    const idle = await rawConnection(harness.path);
    idle.send(...GREETING);
    await idle.waitFor("settings", (each) => each.type === FRAME.settings);
    const stopping = harness.listener.stop(5000);
    await idle.waitFor("GOAWAY", (each) => each.type === FRAME.goaway);
    await idle.closed;
    await expect(rawConnection(harness.path)).rejects.toThrow();
    release.resolve("vault:v2:AAAA");
    expect((await underWay).ciphertext.length).toBeGreaterThan(0);
    await stopping;
    expect(harness.listener.sessions).toBe(0);
  });

  test("a call that does not finish is ended after the time that stop was given", async () => {
    const aborted = Promise.withResolvers<void>();
    harness.transit.override.encrypt = (_input, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => {
          aborted.resolve();
          reject(signal.reason);
        });
      });
    const underWay = caller.encrypt({ plaintext: Buffer.alloc(32) }).then(
      () => "answered",
      () => "ended",
    );
    while (harness.started.length < 2) {
      await Bun.sleep(1);
    }
    const startMs = performance.now();
    await harness.listener.stop(50);
    expect(performance.now() - startMs).toBeLessThan(1000);
    await aborted.promise;
    expect(await underWay).toBe("ended");
  });
});
