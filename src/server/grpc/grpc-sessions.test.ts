/** Sessions on a clock that the test moves: when each one ends, and in which order. Waits here are turns of the event loop. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  FLAG,
  FRAME,
  frame,
  GREETING,
  type RawConnection,
  rawConnection,
  request,
  requestHeaders,
  STATUS,
} from "../../../test/conformance/raw-http2.ts";
import { type ManualClock, manualClock } from "../../../test/fakes/manual-clock.ts";
import { SERVICE } from "../../../test/harness/kms-client.ts";
import { KeyManagementService } from "../../kms/gen/v2/api_pb.ts";
import { DEFAULT_SESSION_LIMITS, unaryHandlers } from "../kms-listener.ts";
import { GrpcSessions, type SessionLimits } from "./grpc-sessions.ts";

const ENCRYPT = `${SERVICE}Encrypt`;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Within so many turns of the event loop, which are far shorter than any timer of the runtime's HTTP/2. */
async function soon(holds: () => boolean): Promise<boolean> {
  for (let turns = 0; turns < 300 && !holds(); turns += 1) {
    await turn();
  }
  return holds();
}
async function notYet(holds: () => boolean): Promise<boolean> {
  for (let turns = 0; turns < 30 && !holds(); turns += 1) {
    await turn();
  }
  return !holds();
}

let directory: string;
let clock: ManualClock;
let sessions: GrpcSessions;
let server: Server;
let peers: RawConnection[];
/** Server sides of connections that were not handed over yet. */
let arrived: Socket[];
let handsOver: boolean;
/** How long the sweeper meant to rest, each time. */
let naps: number[];
/** Encrypts are held until they are let, each with its signal. */
let held: { readonly signal: AbortSignal; readonly release: () => void }[];

function serve(limits: Partial<SessionLimits> = {}): void {
  sessions = new GrpcSessions({
    handlers: unaryHandlers(
      KeyManagementService,
      {
        status: () => ({ version: "v2", healthz: "ok", keyId: "k" }),
        encrypt: (_request, { signal }) => {
          const { promise, resolve } = Promise.withResolvers<{ readonly keyId: string }>();
          held.push({ signal, release: () => resolve({ keyId: "k" }) });
          return promise;
        },
        decrypt: () => ({}),
      },
      { maxMessageBytes: 65_536, maxTimeoutMs: 60_000 },
    ),
    maxMessageBytes: 65_536,
    limits: { ...DEFAULT_SESSION_LIMITS, ...limits },
    clock: {
      ...clock,
      sleep: (ms, signal) => {
        naps.push(ms);
        return clock.sleep(ms, signal);
      },
    },
  });
}

/** Drains, and tells whether that is over. */
function draining(timeoutMs: number): () => boolean {
  let over = false;
  const drain = async (): Promise<void> => {
    await sessions.drain(timeoutMs);
    over = true;
  };
  void drain();
  return () => over;
}

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "sessions-"));
  clock = manualClock();
  [peers, arrived, held, naps, handsOver] = [[], [], [], [], true];
  server = createServer({ pauseOnConnect: true }, (socket) => {
    if (handsOver) {
      sessions.accept(socket);
    } else {
      arrived.push(socket);
    }
  });
  await new Promise<void>((resolve) => server.listen(join(directory, "s"), resolve));
});
afterEach(async () => {
  for (const peer of peers) {
    peer.destroy();
  }
  for (const socket of arrived) {
    socket.destroy();
  }
  await sessions.drain(0);
  server.close();
  rmSync(directory, { recursive: true });
});

async function connection(...parts: readonly Uint8Array[]): Promise<RawConnection> {
  const peer = await rawConnection(join(directory, "s"));
  peers.push(peer);
  peer.send(...parts);
  return peer;
}
const isAnswered = (peer: RawConnection, streamId: number) => (): boolean =>
  peer.frames.some((each) => each.streamId === streamId && each.type === FRAME.headers);
const isGone = (peer: RawConnection) => (): boolean => peer.isClosed;
const saidGoodbye = (peer: RawConnection) => (): boolean =>
  peer.frames.some(({ type }) => type === FRAME.goaway);

/** A session that completed a call and is quiet since. */
async function quiet(): Promise<RawConnection> {
  const peer = await connection(...GREETING, request(1, STATUS));
  expect(await soon(isAnswered(peer, 1))).toBe(true);
  await clock.advance(2000);
  return peer;
}

describe("a session is dropped", () => {
  test("at the end of the time for its greeting", async () => {
    serve();
    const peer = await connection();
    expect(await soon(() => sessions.sessions === 1)).toBe(true);
    await clock.advance(4999);
    expect(await notYet(isGone(peer))).toBe(true);
    await clock.advance(1);
    expect(await soon(isGone(peer))).toBe(true);
    expect(sessions.sessions).toBe(0);
  });

  test("once greeted, at the end of the time for its first call", async () => {
    serve();
    const peer = await connection(...GREETING);
    expect(await soon(() => peer.frames.length >= 2)).toBe(true);
    await clock.advance(29_999);
    expect(await notYet(isGone(peer))).toBe(true);
    await clock.advance(1);
    expect(await soon(isGone(peer))).toBe(true);
  });

  test("in time although all others are quiet, and they stay", async () => {
    serve();
    const other = await quiet();
    const peer = await connection();
    expect(await soon(() => sessions.sessions === 2)).toBe(true);
    await clock.advance(5000);
    expect(await soon(isGone(peer))).toBe(true);
    expect([other.isClosed, sessions.sessions]).toEqual([false, 1]);
  });
});

describe("a request", () => {
  test("that does not come to an end is given up in time, though its session was quiet", async () => {
    serve();
    const peer = await quiet();
    peer.send(requestHeaders(3, FLAG.endHeaders));
    expect(await soon(() => sessions.calls === 1)).toBe(true);
    await clock.advance(9999);
    expect(await notYet(isAnswered(peer, 3))).toBe(true);
    await clock.advance(1);
    expect(await soon(isAnswered(peer, 3))).toBe(true);
    expect(await soon(() => sessions.calls === 0)).toBe(true);
    expect(peer.isClosed).toBe(false);
  });
});

describe("the memory of bodies", () => {
  test("is free again after each request, answered or given up", async () => {
    serve({ maxBodiesBytes: 4096 });
    const peer = await connection(...GREETING);
    for (let streamId = 1; streamId < 9; streamId += 4) {
      peer.send(request(streamId, STATUS));
      expect(await soon(isAnswered(peer, streamId))).toBe(true);
      peer.send(
        requestHeaders(streamId + 2, FLAG.endHeaders),
        frame(FRAME.rstStream, 0, streamId + 2, Buffer.alloc(4)),
      );
      expect(await soon(() => sessions.calls === 0)).toBe(true);
    }
    expect(peer.frames.filter(({ type }) => type === FRAME.data)).toHaveLength(2);
  });
});

describe("streams", () => {
  /** The bounds that a peer was told (SETTINGS_MAX_CONCURRENT_STREAMS, RFC 9113 6.5.2), in their order. */
  const told = (peer: RawConnection): readonly number[] =>
    peer.frames
      .filter(({ type }) => type === FRAME.settings)
      .flatMap(({ payload }) =>
        Array.from({ length: payload.length / 6 }, (_, index) => payload.subarray(6 * index, 6 * index + 6))
          .filter((entry) => entry.readUInt16BE(0) === 3)
          .map((entry) => entry.readUInt32BE(2)),
      );

  test("are many for the first sessions that complete a call, and for no other", async () => {
    serve({ wideSessions: 1, maxStreamsPerWideSession: 77, maxStreamsPerSession: 5 });
    const first = await connection(...GREETING, request(1, STATUS));
    expect(await soon(isAnswered(first, 1))).toBe(true);
    const second = await connection(...GREETING, request(1, STATUS));
    const third = await connection(...GREETING);
    expect(await soon(isAnswered(second, 1))).toBe(true);
    expect(await soon(() => sessions.sessions === 3)).toBe(true);
    first.destroy();
    expect(await soon(() => sessions.sessions === 2)).toBe(true);
    for (const streamId of [3, 5]) {
      second.send(request(streamId, STATUS));
      expect(await soon(isAnswered(second, streamId))).toBe(true);
    }
    third.send(request(1, STATUS));
    expect(await soon(isAnswered(third, 1))).toBe(true);
    expect([told(first), told(second), told(third)]).toEqual([[5, 77], [5, 77], [5]]);
  });
});

describe("a connection that waits for a place", () => {
  test("gets it as soon as the one before it had the time of a greeting", async () => {
    serve({ maxSessions: 1, greetingGraceMs: 100, sweepIntervalMs: 1000 });
    const silent = await connection();
    expect(await soon(() => sessions.sessions === 1)).toBe(true);
    const next = await connection(...GREETING, request(1, STATUS));
    await clock.advance(99);
    expect(await notYet(isGone(silent))).toBe(true);
    await clock.advance(1);
    expect(await soon(isAnswered(next, 1))).toBe(true);
    expect(silent.isClosed).toBe(true);
  });
});

describe("a session that is idle", () => {
  test("is closed in order, and its connection with it", async () => {
    serve();
    const peer = await quiet();
    await clock.advance(597_999);
    expect(await notYet(isGone(peer))).toBe(true);
    await clock.advance(60_001);
    expect(await soon(isGone(peer))).toBe(true);
    expect(saidGoodbye(peer)()).toBe(true);
  });

  test("costs a look a minute", async () => {
    serve();
    await quiet();
    naps = [];
    await clock.advance(180_000);
    expect(new Set(naps)).toEqual(new Set([60_000]));
  });
});

describe("a session that is evicted", () => {
  const full = { maxSessions: 1, seniorSessions: 0, firstCallGraceMs: 0, greetingGraceMs: 0 };

  test("has the time of a request for its calls", async () => {
    serve(full);
    const old = await connection(...GREETING, request(1, STATUS));
    expect(await soon(isAnswered(old, 1))).toBe(true);
    old.send(request(3, ENCRYPT));
    expect(await soon(() => held.length === 1)).toBe(true);
    const next = await connection(...GREETING, request(1, STATUS));
    expect(await soon(isAnswered(next, 1))).toBe(true);
    await clock.advance(9999);
    expect(await notYet(() => held[0]?.signal.aborted === true)).toBe(true);
    await clock.advance(1);
    expect(await soon(() => held[0]?.signal.aborted === true)).toBe(true);
    expect(await soon(isGone(old))).toBe(true);
    expect([next.isClosed, sessions.sessions]).toEqual([false, 1]);
  });

  test("ends with its last call", async () => {
    serve(full);
    const old = await connection(...GREETING, request(1, STATUS));
    expect(await soon(isAnswered(old, 1))).toBe(true);
    old.send(request(3, ENCRYPT), request(5, ENCRYPT));
    expect(await soon(() => held.length === 2)).toBe(true);
    await connection(...GREETING, request(1, STATUS));
    expect(await soon(saidGoodbye(old))).toBe(true);
    held[0]?.release();
    expect(await soon(isAnswered(old, 3))).toBe(true);
    expect(await notYet(isGone(old))).toBe(true);
    held[1]?.release();
    expect(await soon(isGone(old))).toBe(true);
    expect(isAnswered(old, 5)()).toBe(true);
  });
});

describe("draining", () => {
  test("ends quiet sessions and connections that wait, and is over without a wait", async () => {
    serve({ maxSessions: 1 });
    const peer = await connection(...GREETING, request(1, STATUS));
    expect(await soon(isAnswered(peer, 1))).toBe(true);
    const waiting = await connection();
    await turn();
    const isOver = draining(5000);
    expect(await soon(isOver)).toBe(true);
    expect(await soon(() => peer.isClosed && waiting.isClosed)).toBe(true);
    expect([sessions.sessions, clock.sleeping]).toEqual([0, 0]);
  });

  test("lets calls finish, as long as it may", async () => {
    serve();
    const [one, two] = [
      await connection(...GREETING, request(1, ENCRYPT)),
      await connection(...GREETING, request(1, ENCRYPT)),
    ];
    expect(await soon(() => held.length === 2)).toBe(true);
    const isOver = draining(5000);
    expect(await soon(() => saidGoodbye(one)() && saidGoodbye(two)())).toBe(true);
    held[0]?.release();
    expect(await soon(() => one.isClosed || two.isClosed)).toBe(true);
    await clock.advance(4999);
    expect(await notYet(isOver)).toBe(true);
    expect(held[1]?.signal.aborted).toBe(false);
    await clock.advance(1);
    expect(await soon(isOver)).toBe(true);
    expect(await soon(() => one.isClosed && two.isClosed)).toBe(true);
    expect(await soon(() => held[1]?.signal.aborted === true)).toBe(true);
  });

  test("is over for good: a connection that comes later is closed", async () => {
    serve();
    handsOver = false;
    const peer = await connection();
    expect(await soon(() => arrived.length === 1)).toBe(true);
    await sessions.drain(0);
    for (const socket of arrived) {
      sessions.accept(socket);
    }
    expect(await soon(isGone(peer))).toBe(true);
    expect(sessions.sessions).toBe(0);
  });
});

describe("connections that come at once", () => {
  /** The server sides of so many connections. */
  async function come(count: number): Promise<readonly Socket[]> {
    handsOver = false;
    const before = arrived.length;
    for (let index = 0; index < count; index += 1) {
      await connection();
    }
    expect(await soon(() => arrived.length === before + count)).toBe(true);
    return arrived.slice(before);
  }

  test("are taken a few in each turn", async () => {
    serve({ connectionsPerTurn: 2 });
    for (const socket of await come(5)) {
      sessions.accept(socket);
    }
    const counts = [sessions.sessions];
    for (let index = 0; index < 3; index += 1) {
      await turn();
      counts.push(sessions.sessions);
    }
    expect(counts).toEqual([2, 4, 5, 5]);
  });

  test("wait for a place up to the bound, and those that leave make room", async () => {
    serve({ maxSessions: 1, maxWaitingConnections: 2, greetingGraceMs: 60_000 });
    const sockets = await come(5);
    for (const socket of sockets.slice(0, 4)) {
      sessions.accept(socket);
    }
    expect(sockets.map(({ destroyed }) => destroyed)).toEqual([false, false, false, true, false]);
    let closed = false;
    sockets[1]?.once("close", () => {
      closed = true;
    });
    sockets[1]?.destroy();
    expect(await soon(() => closed)).toBe(true);
    for (const socket of sockets.slice(4)) {
      sessions.accept(socket);
    }
    expect([sockets[4]?.destroyed, sessions.sessions]).toEqual([false, 1]);
  });

  test("and wait are served as soon as a session is gone", async () => {
    serve({ maxSessions: 1, greetingGraceMs: 60_000 });
    const sockets = await come(2);
    for (const socket of sockets) {
      sessions.accept(socket);
    }
    peers[1]?.send(...GREETING, request(1, STATUS));
    peers[0]?.destroy();
    const [, waiting] = peers;
    expect(waiting !== undefined && (await soon(isAnswered(waiting, 1)))).toBe(true);
  });
});
