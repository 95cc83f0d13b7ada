/**
 * The body of one HTTP/2 request, as the runtime hands it over.
 *
 * @module `node:http2` feeds a stream as every Readable is fed, through its `push`; the Readable then buffers each piece and gives
 * it away in later turns, by way of events. A body that is bounded and wanted as a whole needs none of that, so `push` is
 * replaced here: a fifth of what HTTP/2 costs where the JIT is off. What this takes for granted of the runtime, which is a part
 * of the executable, is held by request-body.test.ts and test/conformance.
 */
import type { ServerHttp2Stream } from "node:http2";

export interface BodyReceiver {
  /** The next piece. */
  readonly piece: (bytes: Uint8Array) => void;
  /** That was the last one, or the stream was closed without an error; not called when it was reset or its connection is gone. */
  readonly complete: () => void;
}

/** Takes over the readable side of a stream that has just been opened; "data" and "end" are then never emitted. */
export function receiveBody(stream: ServerHttp2Stream, { piece, complete }: BodyReceiver): void {
  const push = (bytes: Uint8Array | null): boolean => {
    if (bytes !== null) {
      piece(bytes);
    } else if (stream.readable) {
      const isGone = stream.aborted || stream.closed || (stream.rstCode ?? 0) !== 0;
      // Or the runtime would wait for an "end" before it destroys the stream.
      stream.readable = false;
      if (!isGone) {
        complete();
      }
    }
    return true;
  };
  if (stream.endAfterHeaders) {
    push(null);
  } else {
    // Flowing, or the runtime would start reading at the end of the body.
    Object.assign(stream, { push, readableFlowing: true });
  }
}
