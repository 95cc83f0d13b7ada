/**
 * An HTTP/2 client that says whatever a test wants, right or wrong.
 *
 * @module Frames as bytes over a Unix socket, RFC 9113, and headers as HPACK literals that need no table, RFC 7541. It
 * reads frames back just far enough to see what the server did. No protocol logic of its own.
 */
import { connect } from "node:net";
import { SERVICE } from "../harness/kms-client.ts";

export const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

export const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const FLAG = { endStream: 1, ack: 1, endHeaders: 4 } as const;

interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

export function frame(
  type: number,
  flags: number,
  streamId: number,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
}

export function settings(...entries: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.alloc(entries.length * 6);
  entries.forEach(([id, value], index) => {
    payload.writeUInt16BE(id, index * 6);
    payload.writeUInt32BE(value, index * 6 + 2);
  });
  return frame(FRAME.settings, 0, 0, payload);
}

/** What a client that is as it should be begins with. */
export const GREETING: readonly Uint8Array[] = [PREFACE, settings()];
export const STATUS = `${SERVICE}Status`;

export function many(count: number, make: (index: number) => Uint8Array): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, index) => make(index)));
}

/** HPACK: literal header fields without indexing, no Huffman. */
export function headerBlock(fields: readonly (readonly [name: string, value: string])[]): Buffer {
  return Buffer.concat(
    fields.flatMap(([name, value]) => [Buffer.from([0]), hpackString(name), hpackString(value)]),
  );
}

function hpackString(text: string): Buffer {
  const bytes = Buffer.from(text, "latin1");
  if (bytes.length < 127) {
    return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  }
  const length = [127];
  let rest = bytes.length - 127;
  while (rest >= 128) {
    length.push((rest & 127) | 128);
    rest >>= 7;
  }
  length.push(rest);
  return Buffer.concat([Buffer.from(length), bytes]);
}

/** A request's HEADERS without their end, unless `flags` have it. */
export function requestHeaders(
  streamId: number,
  flags = 0,
  path = STATUS,
  extra: readonly (readonly [string, string])[] = [],
): Buffer {
  const fields = [
    [":method", "POST"],
    [":scheme", "http"],
    [":path", path],
    [":authority", "localhost"],
    ["content-type", "application/grpc"],
    ["te", "trailers"],
    ...extra,
  ] as const;
  return frame(FRAME.headers, flags, streamId, headerBlock(fields));
}

/** A unary gRPC request: HEADERS and one DATA frame that ends the stream. */
export function request(streamId: number, path: string, message: Uint8Array = Buffer.alloc(0)): Buffer {
  const envelope = Buffer.alloc(5 + message.length);
  envelope.writeUInt32BE(message.length, 1);
  envelope.set(message, 5);
  return Buffer.concat([
    requestHeaders(streamId, FLAG.endHeaders, path),
    frame(FRAME.data, FLAG.endStream, streamId, envelope),
  ]);
}

export type RawConnection = Awaited<ReturnType<typeof rawConnection>>;

export async function rawConnection(path: string) {
  const socket = connect(path);
  const frames: Frame[] = [];
  const waiting = new Set<() => void>();
  let buffered = Buffer.alloc(0);
  let isClosed = false;
  const wake = (): void => {
    for (const each of waiting) {
      each();
    }
  };
  socket.on("error", () => {});
  socket.on("data", (chunk: Buffer) => {
    buffered = Buffer.concat([buffered, chunk]);
    while (buffered.length >= 9 && buffered.length >= 9 + buffered.readUIntBE(0, 3)) {
      const length = buffered.readUIntBE(0, 3);
      frames.push({
        type: buffered[3] ?? 0,
        flags: buffered[4] ?? 0,
        streamId: buffered.readUInt32BE(5) & 0x7fffffff,
        payload: buffered.subarray(9, 9 + length),
      });
      buffered = buffered.subarray(9 + length);
    }
    wake();
  });
  const closed = new Promise<void>((resolve) => {
    socket.on("close", () => {
      isClosed = true;
      resolve();
      wake();
    });
  });
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
  });
  /** Resolves with the first frame that fits, now or later; rejects when the connection ends before. */
  const waitFor = (what: string, fits: (frame: Frame) => boolean): Promise<Frame> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const found = frames.find(fits);
        if (found !== undefined) {
          waiting.delete(look);
          resolve(found);
        } else if (isClosed) {
          waiting.delete(look);
          reject(new Error(`connection closed before: ${what}`));
        }
      };
      waiting.add(look);
      look();
    });
  return {
    socket,
    frames,
    send: (...parts: readonly Uint8Array[]) => {
      if (!isClosed) {
        socket.write(Buffer.concat(parts));
      }
    },
    waitFor,
    /** Resolves with the headers of the answer on this stream. */
    answer: (streamId: number) =>
      waitFor(`answer on ${streamId}`, (each) => each.type === FRAME.headers && each.streamId === streamId),
    /** Resolves when the server has closed the connection. */
    closed,
    get isClosed() {
      return isClosed;
    },
    destroy: () => socket.destroy(),
  };
}
