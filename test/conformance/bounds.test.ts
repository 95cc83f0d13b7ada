/** What becomes of a peer that goes beyond one of the bounds, each made small so that it is met at once. */
import { afterEach, describe, expect, test } from "bun:test";
import { status as code } from "@grpc/grpc-js";
import { LEAST_SHARE_BYTES } from "../../src/server/grpc/body-budget.ts";
import type { SessionLimits } from "../../src/server/grpc/grpc-sessions.ts";
import { eventually } from "../harness/eventually.ts";
import { GREETING, many, requestHeaders, STATUS } from "./attacks.ts";
import { failure, type Harness, type KmsClient, kmsClient, SERVICE, startHarness } from "./harness.ts";
import {
  FLAG,
  FRAME,
  frame,
  headerBlock,
  type RawConnection,
  rawConnection,
  request,
  requestFields,
  settings,
} from "./raw-http2.ts";

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

async function answered(peer: RawConnection, streamId: number): Promise<void> {
  await peer.waitFor("an answer", (each) => each.streamId === streamId && each.type === FRAME.headers);
}

describe("the memory of all requests", () => {
  test("a large request that is handled gives way to another session, and its call is ended", async () => {
    await serve({ maxBodiesBytes: 66_000 });
    const held = holdEncrypts();
    const large = failure(client().encrypt({ plaintext: seed, uid: "u".repeat(60_000) }));
    await until("it is handled", () => held.signals.length === 1);
    expect((await client().status()).healthz).toBe("ok");
    expect((await large)[0]).toBe(code.RESOURCE_EXHAUSTED);
    expect(held.signals[0]?.aborted).toBe(true);
  });

  test("ordinary requests that are handled do not give way", async () => {
    await serve({ maxBodiesBytes: 2 * LEAST_SHARE_BYTES });
    const held = holdEncrypts();
    const first = client();
    const calls = [first.encrypt({ plaintext: seed }), first.encrypt({ plaintext: seed })];
    await until("they are handled", () => held.signals.length === 2);
    expect(await failure(client().status())).toEqual([
      code.RESOURCE_EXHAUSTED,
      "too many unfinished requests",
    ]);
    held.release();
    await Promise.all(calls);
    expect((await client().status()).healthz).toBe("ok");
  });

  test("answers that are not read give way, with their connection", async () => {
    await serve({ maxBodiesBytes: 2 * LEAST_SHARE_BYTES });
    const peer = await rawConnection(harness.path);
    peer.send(GREETING[0] ?? Buffer.alloc(0), settings([4, 0]), request(1, STATUS), request(3, STATUS));
    await answered(peer, 3);
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
    peer.send(GREETING[0] ?? Buffer.alloc(0), settings([4, 0]), request(1, STATUS));
    await answered(peer, 1);
    await peer.closed;
  });

  test("of which too many requests in a row were refused", async () => {
    await serve({ maxRefusedInARow: 3 });
    const peer = await rawConnection(harness.path);
    const unknown = (streamId: number): Uint8Array => request(streamId, `${SERVICE}None`);
    peer.send(...GREETING, unknown(1), unknown(3), request(5, STATUS), unknown(7), unknown(9));
    await answered(peer, 9);
    await Bun.sleep(20);
    expect(peer.isClosed).toBe(false);
    peer.send(unknown(11));
    await peer.closed;
  });

  test("that comes when as many wait as may", async () => {
    await serve({ maxSessions: 1, maxWaitingConnections: 2 });
    const held = holdEncrypts();
    const caller = client();
    await caller.status();
    const call = caller.encrypt({ plaintext: seed });
    await until("it is handled", () => held.signals.length === 1);
    const waiting = [await rawConnection(harness.path), await rawConnection(harness.path)];
    const turnedAway = await rawConnection(harness.path);
    await turnedAway.closed;
    expect(waiting.map(({ isClosed }) => isClosed)).toEqual([false, false]);
    held.release();
    await call;
    caller.close();
    for (const peer of waiting) {
      peer.send(...GREETING, request(1, STATUS));
      await answered(peer, 1);
      peer.destroy();
    }
  });
});

test("a request that its peer resets never reaches a method, whole as it may be", async () => {
  await serve({});
  const peer = await rawConnection(harness.path);
  peer.send(
    ...GREETING,
    many(10, (index) =>
      Buffer.concat([
        frame(FRAME.headers, FLAG.endHeaders, 1 + 2 * index, headerBlock(requestFields(STATUS))),
        frame(FRAME.data, 0, 1 + 2 * index, Buffer.alloc(5)),
        frame(FRAME.rstStream, 0, 1 + 2 * index, Buffer.from([0, 0, 0, 8])),
      ]),
    ),
    requestHeaders(21, FLAG.endHeaders),
    frame(FRAME.data, FLAG.endStream, 21, Buffer.alloc(5)),
  );
  await answered(peer, 21);
  expect(harness.records).toHaveLength(1);
  peer.destroy();
});
