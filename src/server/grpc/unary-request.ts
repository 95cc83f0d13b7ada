/** @module The request of a unary call: whole, with one signal for all that can end it early. */
import { Code, ConnectError, type ContextValues, createContextValues } from "@connectrpc/connect";
import type { UniversalServerRequest } from "@connectrpc/connect/protocol";
import { CALLER } from "../../base/caller.ts";

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

/** Header fields by name in lower case. */
type Metadata = Readonly<Record<string, string | readonly string[] | undefined>>;

/** The only metadata that is looked at; all other metadata of the caller stays unread. */
const PROTOCOL_HEADERS = ["content-type", "grpc-timeout", "grpc-encoding"] as const;

export class UnaryRequest implements UniversalServerRequest {
  readonly httpVersion = "2.0";
  readonly url: string;
  readonly method: string;
  readonly body: WholeBody;
  readonly #metadata: Metadata;
  readonly #ended = new AbortController();
  readonly #caller: object;
  #values: ContextValues | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param path such as `/v2.KeyManagementService/Status`.
   * @param caller the session, for {@link CALLER}.
   */
  constructor(path: string, metadata: Metadata, bytes: Uint8Array, caller: object) {
    this.url = `http://localhost${path}`;
    this.method = String(metadata[":method"] ?? "");
    this.#metadata = metadata;
    this.body = new WholeBody(bytes);
    this.#caller = caller;
  }

  /** One field of the protocol's; `null` when it is absent. */
  metadata(name: (typeof PROTOCOL_HEADERS)[number]): string | null {
    const value = this.#metadata[name];
    return typeof value === "string" ? value : null;
  }

  /** The fields of the protocol, as Connect's own handlers read them. */
  get header(): Headers {
    const picked = new Headers();
    for (const name of PROTOCOL_HEADERS) {
      const value = this.metadata(name);
      if (value !== null) {
        picked.set(name, value);
      }
    }
    return picked;
  }

  get contextValues(): ContextValues {
    this.#values ??= createContextValues().set(CALLER, this.#caller);
    return this.#values;
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
