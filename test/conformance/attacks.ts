/**
 * What a hostile peer sends to hold the server or its other callers up.
 *
 * @module A table: every attack ends with the server closing the connection, at once where Bun counts frames, else by a
 * timeout. hostile.test.ts runs them.
 */
import { SERVICE } from "./harness.ts";
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

export const STATUS = `${SERVICE}Status`;
/** What a client that is as it should be begins with. */
export const GREETING: readonly Uint8Array[] = [PREFACE, settings()];

type Attack = (peer: RawConnection) => Promise<void> | void;

export function many(count: number, make: (index: number) => Uint8Array): Uint8Array {
  return Buffer.concat(Array.from({ length: count }, (_, index) => make(index)));
}

/** A request's HEADERS without their end, unless `flags` have it. */
export function requestHeaders(streamId: number, flags = 0): Uint8Array {
  return frame(FRAME.headers, flags, streamId, headerBlock(requestFields(STATUS)));
}

interface Flood {
  /** What follows the greeting, before the flood. */
  readonly after?: readonly Uint8Array[];
  /** Frames in one write. */
  readonly count?: number;
  /** Writes at most; the event loop turns between two of them. */
  readonly writes?: number;
}

/** The same frames again and again, until the server closes. */
function flood(make: (index: number) => Uint8Array, options: Flood = {}): Attack {
  const { after = [], count = 1000, writes = 500 } = options;
  return async (peer) => {
    peer.send(...GREETING, ...after);
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
    (peer) =>
      peer.send(
        ...GREETING,
        frame(FRAME.headers, FLAG.endHeaders, 1, headerBlock(requestFields(STATUS, LONG_FIELDS))),
      ),
  ],
  [
    "endless CONTINUATION",
    flood(() => frame(FRAME.continuation, 0, 1, headerBlock([["x", "y".repeat(8000)]])), {
      after: [requestHeaders(1)],
      count: 1,
      writes: 2000,
    }),
  ],
  [
    "empty CONTINUATION without end",
    flood(() => frame(FRAME.continuation, 0, 1), { after: [requestHeaders(1)], count: 5000, writes: 200 }),
  ],
  ["pings", flood(() => frame(FRAME.ping, 0, 0, Buffer.alloc(8)))],
  ["settings", flood(() => settings([4, 65_535]))],
  ["empty DATA", flood(() => frame(FRAME.data, 0, 1), { after: [requestHeaders(1, FLAG.endHeaders)] })],
  ["window updates", flood(() => frame(FRAME.windowUpdate, 0, 0, Buffer.from([0, 0, 0, 1])))],
  ["frames of an unknown type", flood(() => frame(77, 0, 0, Buffer.alloc(100)))],
  [
    "priorities",
    flood((index) => frame(FRAME.priority, 0, 1 + 2 * index, Buffer.from([0, 0, 0, 0, 1])), { count: 5000 }),
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

/** Connections that stay open until the attack is over. */
async function sessions(path: string): Promise<readonly RawConnection[]> {
  return await Promise.all(
    Array.from({ length: SESSIONS }, async () => {
      const peer = await rawConnection(path);
      peer.send(...GREETING);
      return peer;
    }),
  );
}

/** As {@link request}, in DATA frames that do not end the stream. */
function unfinished(streamId: number, frames: number, frameBytes: number): Uint8Array {
  return Buffer.concat([
    requestHeaders(streamId, FLAG.endHeaders),
    many(frames, () => frame(FRAME.data, 0, streamId, Buffer.alloc(frameBytes))),
  ]);
}

/** Sends to all connections in turn until `rounds` are over or so many milliseconds. */
async function inTurns(
  peers: readonly RawConnection[],
  rounds: number,
  bytes: (round: number) => Uint8Array,
  ms = 2500,
): Promise<void> {
  const endMs = performance.now() + ms;
  for (let round = 0; round < rounds && performance.now() < endMs; round += 1) {
    const each = bytes(round);
    for (const peer of peers) {
      peer.send(each);
    }
    await Bun.sleep(1);
  }
}

/** What a hostile peer holds memory with, on as many connections as there may be. All are open at its end. */
export const HOARDERS: readonly (readonly [
  name: string,
  hoard: (path: string) => Promise<readonly RawConnection[]>,
])[] = [
  [
    "streams with headers alone",
    async (path) => {
      const peers = await sessions(path);
      await inTurns(peers, 3, (round) =>
        many(100, (index) => requestHeaders(1 + 2 * (100 * round + index), FLAG.endHeaders)),
      );
      return peers;
    },
  ],
  [
    "half bodies, as much of each as flow control lets through",
    async (path) => {
      const peers = await sessions(path);
      await inTurns(peers, 80, (round) => unfinished(1 + 2 * round, 2, 16_000));
      return peers;
    },
  ],
  [
    "bodies in DATA frames of one byte",
    async (path) => {
      const peers = await sessions(path);
      await inTurns(peers, 20, (round) => unfinished(1 + 2 * round, 200, 1));
      return peers;
    },
  ],
  [
    "answers that are not read",
    async (path) => {
      const peers = await sessions(path);
      for (const peer of peers) {
        peer.socket.pause();
      }
      await inTurns(peers, 60, (round) => many(10, (index) => request(1 + 2 * (10 * round + index), STATUS)));
      return peers;
    },
  ],
  [
    "answers that flow control holds back",
    async (path) => {
      const peers = await sessions(path);
      for (const peer of peers) {
        peer.send(settings([4, 0]));
      }
      await inTurns(peers, 60, (round) => many(10, (index) => request(1 + 2 * (10 * round + index), STATUS)));
      return peers;
    },
  ],
  [
    "requests as large as they may be",
    async (path) => {
      const peers = await sessions(path);
      const method = `${SERVICE}Encrypt`;
      await inTurns(peers, 20, (round) =>
        Buffer.concat([
          frame(FRAME.headers, FLAG.endHeaders, 1 + 2 * round, headerBlock(requestFields(method))),
          many(3, () => frame(FRAME.data, 0, 1 + 2 * round, Buffer.alloc(16_000))),
          frame(FRAME.data, FLAG.endStream, 1 + 2 * round, Buffer.alloc(10)),
        ]),
      );
      return peers;
    },
  ],
];

/** Hoards until the provider has taken what it takes, and then closes all connections. */
export async function hoardOnce(path: string, hoard: (typeof HOARDERS)[number][1]): Promise<void> {
  const peers = await hoard(path);
  const sent = (): boolean => peers.every(({ socket, isClosed }) => isClosed || socket.writableLength === 0);
  for (let waits = 0; waits < 40 && (waits < 10 || !sent()); waits += 1) {
    await Bun.sleep(50);
  }
  for (const peer of peers) {
    peer.destroy();
  }
}
