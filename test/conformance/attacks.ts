/**
 * What a hostile peer sends to hold the server or its other callers up.
 *
 * @module A table: every attack ends with the server closing the connection, at once where Bun counts frames, else by a
 * timeout. hostile.test.ts runs them.
 */
import { SERVICE } from "../harness/kms-client.ts";
import {
  FLAG,
  FRAME,
  frame,
  GREETING,
  headerBlock,
  many,
  PREFACE,
  type RawConnection,
  rawConnection,
  request,
  requestHeaders,
  STATUS,
  settings,
} from "./raw-http2.ts";

type Attack = (peer: RawConnection) => Promise<void> | void;

/** `count` frames in one write, again and again until the server closes; `after` comes before the first. */
function flood(
  make: (index: number) => Uint8Array,
  count = 1000,
  after: Uint8Array = Buffer.alloc(0),
  writes = 500,
): Attack {
  return async (peer) => {
    peer.send(...GREETING, after);
    const bytes = many(count, make);
    for (let turn = 0; turn < writes && !peer.isClosed; turn += 1) {
      peer.send(bytes);
      await Bun.sleep(0);
    }
  };
}

/** Streams that are opened, each followed at once by one frame more. */
function streamsWith(next: (streamId: number) => Uint8Array): Attack {
  return async (peer) => {
    peer.send(...GREETING);
    for (let first = 1; first < 40_000 && !peer.isClosed; first += 200) {
      peer.send(
        many(100, (index) => {
          const id = first + 2 * index;
          return Buffer.concat([requestHeaders(id, FLAG.endHeaders), next(id)]);
        }),
      );
      await Bun.sleep(0);
    }
  };
}

const LONG_FIELDS = [
  ["x", "y".repeat(15_000)],
  ["z", "y".repeat(1400)],
] as const;

export const ATTACKS: readonly (readonly [name: string, attack: Attack])[] = [
  ["HTTP/1.1", (peer) => peer.send(Buffer.from("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"))],
  ["garbage", (peer) => peer.send(many(1000, (index) => Buffer.from([(index * 37) % 251])))],
  ["silence from the start", () => {}],
  ["half a preface", (peer) => peer.send(PREFACE.subarray(0, 12))],
  ["silence after the preface", (peer) => peer.send(PREFACE)],
  ["a greeting and no request", (peer) => peer.send(...GREETING)],
  [
    "a header list that is too long",
    (peer) => peer.send(...GREETING, requestHeaders(1, FLAG.endHeaders, STATUS, LONG_FIELDS)),
  ],
  [
    "endless CONTINUATION",
    flood(
      () => frame(FRAME.continuation, 0, 1, headerBlock([["x", "y".repeat(8000)]])),
      1,
      requestHeaders(1),
      2000,
    ),
  ],
  [
    "empty CONTINUATION without end",
    flood(() => frame(FRAME.continuation, 0, 1), 5000, requestHeaders(1), 200),
  ],
  ["pings", flood(() => frame(FRAME.ping, 0, 0, Buffer.alloc(8)))],
  ["settings", flood(() => settings([4, 65_535]))],
  ["empty DATA", flood(() => frame(FRAME.data, 0, 1), 1000, requestHeaders(1, FLAG.endHeaders))],
  ["window updates", flood(() => frame(FRAME.windowUpdate, 0, 0, Buffer.from([0, 0, 0, 1])))],
  ["frames of an unknown type", flood(() => frame(77, 0, 0, Buffer.alloc(100)))],
  [
    "priorities",
    flood((index) => frame(FRAME.priority, 0, 1 + 2 * index, Buffer.from([0, 0, 0, 0, 1])), 5000),
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
  ["streams opened and reset", streamsWith((id) => frame(FRAME.rstStream, 0, id, Buffer.from([0, 0, 0, 8])))],
  [
    "streams that make the server reset",
    streamsWith((id) => frame(FRAME.windowUpdate, 0, id, Buffer.alloc(4))),
  ],
];

const SESSIONS = 64;
const HOARD_MS = 2500;

/** As {@link request}, in DATA frames that do not end the stream. */
function unfinished(streamId: number, frames: number, frameBytes: number): Uint8Array {
  return Buffer.concat([
    requestHeaders(streamId, FLAG.endHeaders),
    many(frames, () => frame(FRAME.data, 0, streamId, Buffer.alloc(frameBytes))),
  ]);
}

/** Sends to all connections in turn until `rounds` are over, or the time. */
async function inTurns(
  peers: readonly RawConnection[],
  rounds: number,
  bytes: (round: number) => Uint8Array,
): Promise<void> {
  const endMs = performance.now() + HOARD_MS;
  for (let round = 0; round < rounds && performance.now() < endMs; round += 1) {
    const each = bytes(round);
    for (const peer of peers) {
      peer.send(each);
    }
    await Bun.sleep(1);
  }
}

/** What a hostile peer holds memory with, on as many connections as there may be. */
export const HOARDERS: readonly (readonly [
  name: string,
  hoard: (peers: readonly RawConnection[]) => Promise<void>,
])[] = [
  [
    "streams with headers alone",
    (peers) =>
      inTurns(peers, 3, (round) =>
        many(100, (index) => requestHeaders(1 + 2 * (100 * round + index), FLAG.endHeaders)),
      ),
  ],
  [
    "half bodies, as much of each as flow control lets through",
    (peers) => inTurns(peers, 80, (round) => unfinished(1 + 2 * round, 2, 16_000)),
  ],
  [
    "bodies in DATA frames of one byte",
    (peers) => inTurns(peers, 20, (round) => unfinished(1 + 2 * round, 200, 1)),
  ],
  [
    "answers that are not read",
    async (peers) => {
      peers.forEach(({ socket }) => socket.pause());
      await calls(peers);
    },
  ],
  [
    "answers that flow control holds back",
    async (peers) => {
      peers.forEach((peer) => peer.send(settings([4, 0])));
      await calls(peers);
    },
  ],
  [
    "requests as large as they may be",
    (peers) =>
      inTurns(peers, 20, (round) =>
        Buffer.concat([
          requestHeaders(1 + 2 * round, FLAG.endHeaders, `${SERVICE}Encrypt`),
          many(3, () => frame(FRAME.data, 0, 1 + 2 * round, Buffer.alloc(16_000))),
          frame(FRAME.data, FLAG.endStream, 1 + 2 * round, Buffer.alloc(10)),
        ]),
      ),
  ],
];

function calls(peers: readonly RawConnection[]): Promise<void> {
  return inTurns(peers, 60, (round) => many(10, (index) => request(1 + 2 * (10 * round + index), STATUS)));
}

/** Hoards until the provider has taken what it takes, and then closes all connections. */
export async function hoardOnce(path: string, hoard: (typeof HOARDERS)[number][1]): Promise<void> {
  const peers = await Promise.all(Array.from({ length: SESSIONS }, () => rawConnection(path)));
  peers.forEach((peer) => peer.send(...GREETING));
  await hoard(peers);
  const sent = (): boolean => peers.every(({ socket, isClosed }) => isClosed || socket.writableLength === 0);
  for (let waits = 0; waits < 40 && (waits < 10 || !sent()); waits += 1) {
    await Bun.sleep(50);
  }
  peers.forEach((peer) => peer.destroy());
}
