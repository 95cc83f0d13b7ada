/**
 * What hostile peers on the socket can do to others: nothing.
 *
 * Each attack runs while another caller continues to call; afterwards the provider must still serve, hold no session of the
 * attacker and keep no call.
 */
import { describe, expect, test } from "bun:test";
import { DEFAULT_SESSION_LIMITS } from "../../src/server/kms-listener.ts";
import { ATTACKS } from "./attacks.ts";
import {
  FLAG,
  FRAME,
  frame,
  GREETING,
  many,
  type RawConnection,
  rawConnection,
  request,
  requestHeaders,
  STATUS,
} from "./raw-http2.ts";
import { servedBesideHostilePeers } from "./served.ts";

const served = servedBesideHostilePeers();

describe("the connection is closed, and another caller notices nothing", () => {
  test.each(ATTACKS)("%s", async (_name, attack) => {
    const peer = await rawConnection(served.harness.path);
    let slowestMs = 0;
    const attackEnded = new AbortController();
    const calling = (async () => {
      while (!attackEnded.signal.aborted) {
        const startMs = performance.now();
        await served.client.status();
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
    expect([served.harness.listener.sessions, served.harness.listener.calls]).toEqual([1, 0]);
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
    const peer = await rawConnection(served.harness.path);
    const extra = Array.from({ length: 100 }, (_, index) => [`x-${index}`, "y"] as const);
    peer.send(...GREETING, requestHeaders(1, FLAG.endHeaders, STATUS, extra));
    expect(await statusOf(peer, 1)).toBe("reset 11");
    expect(served.harness.records).toHaveLength(1);
    await thenServes(peer, 3);
  });

  test("a request without an end is given up", async () => {
    const peer = await rawConnection(served.harness.path);
    peer.send(...GREETING, requestHeaders(1, FLAG.endHeaders));
    expect(await statusOf(peer, 1)).toBe("headers");
    expect(served.harness.listener.calls).toBe(0);
    await thenServes(peer, 3);
  });

  test("a body without an end is given up at its limit", async () => {
    const peer = await rawConnection(served.harness.path);
    peer.send(...GREETING, requestHeaders(1, FLAG.endHeaders));
    peer.send(...Array.from({ length: 5 }, () => frame(FRAME.data, 0, 1, Buffer.alloc(13_107))));
    await peer.waitFor("window", (each) => each.type === FRAME.windowUpdate && each.streamId === 1);
    peer.send(frame(FRAME.data, 0, 1, Buffer.alloc(10)));
    expect(await statusOf(peer, 1)).toBe("headers");
    await thenServes(peer, 3);
  });

  test("streams above the maximum are refused, those below are served", async () => {
    const peer = await rawConnection(served.harness.path);
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
