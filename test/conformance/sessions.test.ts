/** Connections: how many there may be, how long they live, and how they end. */
import { describe, expect, test } from "bun:test";
import { DEFAULT_SESSION_LIMITS } from "../../src/server/kms-listener.ts";
import { kmsClient } from "./harness.ts";
import {
  FLAG,
  FRAME,
  frame,
  GREETING,
  PREFACE,
  type RawConnection,
  rawConnection,
  request,
  STATUS,
  settings,
} from "./raw-http2.ts";
import { callsStarted, servedBesideHostilePeers } from "./served.ts";

const served = servedBesideHostilePeers();

describe("connections", () => {
  test("a thousand at once and a thousand in turn keep no caller out", async () => {
    const held: RawConnection[] = [];
    for (let index = 0; index < 1000; index += 1) {
      held.push(await rawConnection(served.harness.path));
      if (index % 100 === 0) {
        const fresh = kmsClient(served.harness.path);
        expect((await fresh.status()).healthz).toBe("ok");
        expect((await served.client.status()).healthz).toBe("ok");
        fresh.close();
      }
    }
    expect(served.harness.listener.sessions).toBeLessThanOrEqual(DEFAULT_SESSION_LIMITS.maxSessions);
    for (const each of held) {
      each.destroy();
    }
    for (let index = 0; index < 1000; index += 1) {
      (await rawConnection(served.harness.path)).destroy();
    }
    expect((await served.client.status()).healthz).toBe("ok");
  });

  test("sessions that did call are evicted after those that never did", async () => {
    const peers: RawConnection[] = [];
    for (let index = 0; index < DEFAULT_SESSION_LIMITS.maxSessions + 10; index += 1) {
      const peer = await rawConnection(served.harness.path);
      peer.send(...GREETING);
      peers.push(peer);
    }
    // The last ten wait until the first ten have had their time.
    const closed = (): number => peers.filter((peer) => peer.isClosed).length;
    for (let waits = 0; closed() < 10 && waits < 100; waits += 1) {
      expect((await served.client.status()).healthz).toBe("ok");
      await Bun.sleep(10);
    }
    expect(closed()).toBeGreaterThanOrEqual(10);
    expect(peers.slice(0, 10).every((peer) => peer.isClosed)).toBe(true);
    expect((await served.client.status()).healthz).toBe("ok");
    for (const each of peers) {
      each.destroy();
    }
  });

  test("a reader that never reads is bounded", async () => {
    const peer = await rawConnection(served.harness.path);
    peer.socket.pause();
    peer.send(PREFACE, settings([4, 0]));
    for (let id = 1; id < 600; id += 2) {
      peer.send(request(id, STATUS));
    }
    await Bun.sleep(50);
    expect((await served.client.status()).healthz).toBe("ok");
    peer.destroy();
    await Bun.sleep(30);
    expect([served.harness.listener.sessions, served.harness.listener.calls]).toEqual([1, 0]);
  });

  test("pings of a client that keeps its connection alive are answered", async () => {
    const peer = await rawConnection(served.harness.path);
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
  test("running calls finish, new ones are refused, the socket is gone", async () => {
    const release = Promise.withResolvers<string>();
    served.harness.transit.override.encrypt = () => release.promise;
    const underWay = served.client.encrypt({ plaintext: Buffer.alloc(32) });
    await callsStarted(served, 2);
    const idle = await rawConnection(served.harness.path);
    idle.send(...GREETING);
    await idle.waitFor("settings", (each) => each.type === FRAME.settings);
    const stopping = served.harness.listener.stop(5000);
    await idle.waitFor("GOAWAY", (each) => each.type === FRAME.goaway);
    await idle.closed;
    await expect(rawConnection(served.harness.path)).rejects.toThrow();
    release.resolve("vault:v2:AAAA");
    expect((await underWay).ciphertext.length).toBeGreaterThan(0);
    await stopping;
    expect(served.harness.listener.sessions).toBe(0);
  });

  test("a call that does not finish is ended after the time that stop was given", async () => {
    const aborted = Promise.withResolvers<void>();
    served.harness.transit.override.encrypt = (_input, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => {
          aborted.resolve();
          reject(signal.reason);
        });
      });
    const underWay = served.client.encrypt({ plaintext: Buffer.alloc(32) }).then(
      () => "answered",
      () => "ended",
    );
    await callsStarted(served, 2);
    const startMs = performance.now();
    await served.harness.listener.stop(50);
    expect(performance.now() - startMs).toBeLessThan(1000);
    await aborted.promise;
    expect(await underWay).toBe("ended");
  });
});
