/**
 * The request of a unary call: here as a whole, with one signal for all that can end it early.
 *
 * @module It is what Connect hands to a handler (`UniversalServerRequest`), so Connect's own handlers take it too. What does not
 * live here: how it was read (grpc-stream.ts), what is in it (unary-grpc.ts).
 */
import { Code, ConnectError } from "@connectrpc/connect";
import type { UniversalServerRequest } from "@connectrpc/connect/protocol";

/** A body that is here as a whole: iterable as Connect wants it, and there without the promises of an iteration. */
export class WholeBody implements AsyncIterable<Uint8Array> {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    yield this.bytes;
  }
}

export interface UnaryRequestInit {
  /** Such as `/v2.KeyManagementService/Status`. */
  readonly path: string;
  readonly method: string;
  readonly header: Headers;
  readonly bytes: Uint8Array;
}

export class UnaryRequest implements UniversalServerRequest {
  readonly httpVersion = "2.0";
  readonly url: string;
  readonly method: string;
  readonly header: Headers;
  readonly body: WholeBody;
  readonly #ended = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor({ path, method, header, bytes }: UnaryRequestInit) {
    this.url = `http://localhost${path}`;
    this.method = method;
    this.header = header;
    this.body = new WholeBody(bytes);
  }

  /** Aborts when the caller is gone or the deadline has passed, with a ConnectError that says which. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  callerIsGone(): void {
    this.#ended.abort(new ConnectError("caller is gone", Code.Canceled));
  }

  /** Ends the call in `timeoutMs` milliseconds, at once when there are none. Returns what is left of them. */
  startDeadline(timeoutMs: number): () => number {
    const endMs = Date.now() + timeoutMs;
    const expire = (): void =>
      this.#ended.abort(new ConnectError("the operation timed out", Code.DeadlineExceeded));
    if (timeoutMs <= 0) {
      expire();
    } else {
      this.#timer = setTimeout(expire, timeoutMs);
    }
    return () => endMs - Date.now();
  }

  /** The call has ended by itself. */
  stopDeadline(): void {
    clearTimeout(this.#timer);
  }
}
