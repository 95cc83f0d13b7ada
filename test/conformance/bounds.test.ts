/** What becomes of a peer that goes beyond one of the bounds, each made small so that it is met at once. */
import { afterEach, describe, expect, test } from "bun:test";
import { status as code } from "@grpc/grpc-js";
import { LEAST_SHARE_BYTES } from "../../src/server/grpc/body-budget.ts";
import type { SessionLimits } from "../../src/server/grpc/grpc-sessions.ts";
import { eventually } from "../harness/eventually.ts";
import { SERVICE } from "../harness/kms-client.ts";
import { failure, type Harness, type KmsClient, kmsClient, startHarness } from "./harness.ts";
import {
  FLAG,
  FRAME,
  frame,
  GREETING,
  many,
  PREFACE,
  type RawConnection,
  rawConnection,
  request,
  requestHeaders,
  STATUS,
  settings,
} from "./raw-http2.ts";
import { refused } from "./served.ts";

const seed = Buffer.alloc(32, 7);
let harness: Harness;
let clients: KmsClient[] = [];

afterEach(async () => {
  for (const each of clients) {
    each.close();
  }
  clients = [];
  await harness.stop();
});

async function serve(limits: Partial<SessionLimits>): Promise<void> {
  harness = await startHarness({ limits });
}

function client(): KmsClient {
  const made = kmsClient(harness.path);
  clients.push(made);
  return made;
}

async function greeted(...parts: readonly Uint8Array[]): Promise<RawConnection> {
  const peer = await rawConnection(harness.path);
  peer.send(...GREETING, ...parts);
  return peer;
}

/** An Encrypt of a connection of its own, which a handler holds. */
async function heldCall(held: ReturnType<typeof holdEncrypts>) {
  const caller = client();
  await caller.status();
  const before = held.signals.length;
  const call = caller.encrypt({ plaintext: seed });
  await until("it is handled", () => held.signals.length === before + 1);
  return { caller, call };
}

/** Encrypts that do not end before they are let. */
function holdEncrypts() {
  const release = Promise.withResolvers<string>();
  const signals: AbortSignal[] = [];
  harness.transit.override.encrypt = (_input, signal) => {
    signals.push(signal);
    return release.promise;
  };
  return { signals, release: () => release.resolve("vault:v2:AAAA") };
}

const until = (what: string, holds: () => boolean): Promise<boolean> =>
  eventually(what, holds, { timeoutMs: 2000, everyMs: 5 });

describe("the memory of all requests", () => {
  test("a large request that is handled loses its share to another session, and its call is ended", async () => {
    await serve({ maxBodiesBytes: 66_000 });
    const held = holdEncrypts();
    const large = failure(client().encrypt({ plaintext: seed, uid: "u".repeat(60_000) }));
    await until("it is handled", () => held.signals.length === 1);
    expect((await client().status()).healthz).toBe("ok");
    expect((await large)[0]).toBe(code.RESOURCE_EXHAUSTED);
    expect(held.signals[0]?.aborted).toBe(true);
  });

  test("ordinary requests that are handled lose nothing", async () => {
    await serve({ maxBodiesBytes: 2 * LEAST_SHARE_BYTES });
    const held = holdEncrypts();
    const first = client();
    const calls = [first.encrypt({ plaintext: seed }), first.encrypt({ plaintext: seed })];
    await until("they are handled", () => held.signals.length === 2);
    await refused(client().status(), code.RESOURCE_EXHAUSTED, "too many unfinished requests");
    held.release();
    await Promise.all(calls);
    expect((await client().status()).healthz).toBe("ok");
  });

  test("answers that are not read lose their share and their connection", async () => {
    await serve({ maxBodiesBytes: 2 * LEAST_SHARE_BYTES });
    const peer = await rawConnection(harness.path);
    peer.send(PREFACE, settings([4, 0]), request(1, STATUS), request(3, STATUS));
    await peer.answer(3);
    expect((await client().status()).healthz).toBe("ok");
    await peer.closed;
  });

  test("a request that ended leaves its place", async () => {
    await serve({ maxBodiesBytes: LEAST_SHARE_BYTES });
    const caller = client();
    for (let call = 0; call < 5; call += 1) {
      expect((await caller.status()).healthz).toBe("ok");
    }
  });
});

describe("a connection is closed", () => {
  test("whose peer does not read its answers in time", async () => {
    await serve({ requestTimeoutMs: 100 });
    const peer = await rawConnection(harness.path);
    peer.send(PREFACE, settings([4, 0]), request(1, STATUS));
    await peer.answer(1);
    await peer.closed;
  });

  test("of which too many requests in a row were refused", async () => {
    await serve({ maxRefusedInARow: 3 });
    const unknown = (streamId: number): Uint8Array => request(streamId, `${SERVICE}None`);
    const peer = await greeted(unknown(1), unknown(3), request(5, STATUS), unknown(7), unknown(9));
    await peer.answer(9);
    await Bun.sleep(20);
    expect(peer.isClosed).toBe(false);
    peer.send(unknown(11));
    await peer.closed;
  });

  test("that comes when as many wait as may", async () => {
    await serve({ maxSessions: 1, maxWaitingConnections: 2 });
    const held = holdEncrypts();
    const { caller, call } = await heldCall(held);
    const waiting = [await rawConnection(harness.path), await rawConnection(harness.path)];
    const turnedAway = await rawConnection(harness.path);
    await turnedAway.closed;
    expect(waiting.map(({ isClosed }) => isClosed)).toEqual([false, false]);
    held.release();
    await call;
    caller.close();
    for (const peer of waiting) {
      peer.send(...GREETING, request(1, STATUS));
      await peer.answer(1);
      peer.destroy();
    }
  });
});

describe("streams of a connection", () => {
  const unfinished = (streamId: number): Uint8Array => requestHeaders(streamId, FLAG.endHeaders);
  const isRefused = (peer: RawConnection, streamId: number): boolean =>
    peer.frames.some(
      (each) =>
        each.type === FRAME.rstStream && each.streamId === streamId && each.payload.readUInt32BE() === 7,
    );
  /** MAX_CONCURRENT_STREAMS of the server's SETTINGS, in order. */
  const announced = (peer: RawConnection): readonly number[] =>
    peer.frames
      .filter(({ type, flags }) => type === FRAME.settings && flags === 0)
      .flatMap(({ payload }) =>
        Array.from({ length: payload.length / 6 }, (_, index) => index * 6)
          .filter((at) => payload.readUInt16BE(at) === 3)
          .map((at) => payload.readUInt32BE(at + 2)),
      );

  test("few, many for the first that completes a call, and for one more as soon as that one is gone", async () => {
    await serve({ wideSessions: 1, maxStreamsPerSession: 2, maxStreamsPerWideSession: 4 });
    const [first, second] = [await rawConnection(harness.path), await rawConnection(harness.path)];
    first.send(...GREETING, ...[1, 3, 5].map(unfinished));
    await until("the third is refused", () => isRefused(first, 5));
    expect([isRefused(first, 3), announced(first)]).toEqual([false, [2]]);
    first.send(frame(FRAME.data, FLAG.endStream, 1, Buffer.alloc(5)));
    await until("more are announced", () => announced(first).length === 2);
    first.send(frame(FRAME.settings, FLAG.ack, 0), ...[7, 9, 11, 13].map(unfinished));
    await until("the fifth is refused", () => isRefused(first, 13));
    expect([isRefused(first, 11), announced(first)]).toEqual([false, [2, 4]]);

    second.send(...GREETING, request(1, STATUS));
    await second.answer(1);
    second.send(...[3, 5, 7].map(unfinished));
    await until("the third is refused", () => isRefused(second, 7));
    expect([isRefused(second, 5), announced(second)]).toEqual([false, [2]]);

    first.destroy();
    await until("it is gone", () => harness.listener.sessions === 1);
    second.send(frame(FRAME.data, FLAG.endStream, 3, Buffer.alloc(5)));
    await until("more are announced", () => announced(second).length === 2);
    expect(announced(second)).toEqual([2, 4]);
    second.send(frame(FRAME.settings, FLAG.ack, 0), ...[9, 11, 13, 15].map(unfinished));
    await until("the fifth is refused", () => isRefused(second, 15));
    expect([9, 11, 13].map((streamId) => isRefused(second, streamId))).toEqual([false, false, false]);
  });
});

describe("a connection that is over the limit is closed in order", () => {
  test("when a handler has its call: GOAWAY, the call is answered, and then it is closed", async () => {
    await serve({ maxSessions: 1, seniorSessions: 0, firstCallGraceMs: 0, greetingGraceMs: 0 });
    const held = holdEncrypts();
    const { call } = await heldCall(held);
    const next = await greeted(request(1, STATUS));
    await next.answer(1);
    expect(harness.listener.sessions).toBe(1);
    expect(held.signals[0]?.aborted).toBe(false);
    held.release();
    expect((await call).ciphertext.length).toBeGreaterThan(0);
    next.destroy();
  });

  test("and no more of them at a time than there are places", async () => {
    await serve({ maxSessions: 1, seniorSessions: 0, firstCallGraceMs: 0, greetingGraceMs: 0 });
    const held = holdEncrypts();
    const calls: Promise<unknown>[] = [];
    for (const _ of [1, 2]) {
      calls.push((await heldCall(held)).call);
    }
    const third = await greeted(request(1, STATUS));
    await Bun.sleep(50);
    expect(third.frames).toEqual([]);
    held.release();
    await Promise.all(calls);
    await third.answer(1);
    third.destroy();
  });

  test("when its calls do not end in time they are ended", async () => {
    await serve({
      maxSessions: 1,
      seniorSessions: 0,
      firstCallGraceMs: 0,
      greetingGraceMs: 0,
      requestTimeoutMs: 50,
      sweepIntervalMs: 20,
    });
    const held = holdEncrypts();
    const call = failure((await heldCall(held)).call);
    const next = await greeted(request(1, STATUS));
    await next.answer(1);
    await call;
    await until("its signal is aborted", () => held.signals[0]?.aborted === true);
    next.destroy();
  });
});

test("connections that come at once are all served, a few in each turn", async () => {
  await serve({ connectionsPerTurn: 2 });
  const peers = await Promise.all(Array.from({ length: 9 }, () => rawConnection(harness.path)));
  for (const peer of peers) {
    peer.send(...GREETING, request(1, STATUS));
  }
  await Promise.all(peers.map((peer) => peer.answer(1)));
  for (const peer of peers) {
    peer.destroy();
  }
});

test("calls that come at once are all answered, one of each connection in turn", async () => {
  await serve({ callsPerTurn: 1 });
  const [busy, one] = [await rawConnection(harness.path), await rawConnection(harness.path)];
  busy.send(...GREETING, ...Array.from({ length: 15 }, (_, index) => request(1 + 2 * index, STATUS)));
  await until("the first is answered", () => harness.started.length >= 1);
  one.send(...GREETING, request(1, STATUS));
  await one.answer(1);
  await busy.answer(29);
  busy.destroy();
  one.destroy();
});

test("a request that its peer resets never reaches a method, whole as it may be", async () => {
  await serve({});
  const peer = await greeted(
    many(10, (index) =>
      Buffer.concat([
        requestHeaders(1 + 2 * index, FLAG.endHeaders),
        frame(FRAME.data, 0, 1 + 2 * index, Buffer.alloc(5)),
        frame(FRAME.rstStream, 0, 1 + 2 * index, Buffer.from([0, 0, 0, 8])),
      ]),
    ),
    requestHeaders(21, FLAG.endHeaders),
    frame(FRAME.data, FLAG.endStream, 21, Buffer.alloc(5)),
  );
  await peer.answer(21);
  expect(harness.records).toHaveLength(1);
  peer.destroy();
});
