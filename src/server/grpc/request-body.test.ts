/** Holds what request-body.ts takes for granted of the runtime's `node:http2`. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  createServer,
  type Http2Server,
  type ServerHttp2Stream,
} from "node:http2";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  FLAG,
  FRAME,
  frame,
  headerBlock,
  PREFACE,
  rawConnection,
  requestFields,
  settings,
} from "../../../test/conformance/raw-http2.ts";
import { receiveBody } from "./request-body.ts";

interface Seen {
  readonly stream: ServerHttp2Stream;
  readonly pieces: Buffer[];
  completed: number;
  readonly closed: Promise<void>;
}

let dir: string;
let path: string;
let server: Http2Server;
let client: ClientHttp2Session;
let seen: Seen[];

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "body-"));
  path = join(dir, "socket");
  seen = [];
  server = createServer();
  server.on("stream", (stream: ServerHttp2Stream) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const own: Seen = { stream, pieces: [], completed: 0, closed: promise };
    seen.push(own);
    stream.on("error", () => {});
    stream.on("close", resolve);
    receiveBody(stream, {
      piece: (bytes) => own.pieces.push(Buffer.from(bytes)),
      complete: () => {
        own.completed += 1;
        stream.respond({ ":status": 200 }, { waitForTrailers: true });
        stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
        stream.end("answer");
      },
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  client = connect("http://localhost", { createConnection: () => createConnection(path) });
});

afterEach(() => {
  client.destroy();
  server.close();
  rmSync(dir, { recursive: true, force: true });
});

const post = (more: { readonly endStream?: boolean } = {}): ClientHttp2Stream =>
  client.request({ ":method": "POST", ":path": "/" }, more);

async function answerOf(stream: ClientHttp2Stream): Promise<string> {
  let text = "";
  for await (const chunk of stream) {
    text += String(chunk);
  }
  return text;
}

const first = (): Seen => {
  const [own] = seen;
  if (own === undefined) {
    throw new Error("no stream has come");
  }
  return own;
};

/** Until the server has what was sent before. */
async function roundTrip(): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    client.ping((error) => (error === null ? resolve() : reject(error)));
  });
}

describe("a body", () => {
  test.each([0, 1, 16_384, 60_000])("of %d bytes comes whole, and then its end, once", async (length) => {
    const body = Buffer.alloc(length, 7);
    const stream = post();
    stream.end(body);
    expect(await answerOf(stream)).toBe("answer");
    await first().closed;
    expect(Buffer.concat(first().pieces)).toEqual(body);
    expect(first().completed).toBe(1);
  });

  test("in pieces comes in their order, with no end before the last", async () => {
    const stream = post();
    for (const text of ["a", "b", "c"]) {
      stream.write(text);
      await roundTrip();
      expect(first().completed).toBe(0);
    }
    stream.end("d");
    expect(await answerOf(stream)).toBe("answer");
    expect(String(Buffer.concat(first().pieces))).toBe("abcd");
    expect(first().completed).toBe(1);
  });

  test("that is none is complete with the headers", async () => {
    expect(await answerOf(post({ endStream: true }))).toBe("answer");
    await first().closed;
    expect([first().pieces, first().completed]).toEqual([[], 1]);
  });
});

describe("a stream is closed without an end of its body", () => {
  test.each([
    ["INTERNAL_ERROR", constants.NGHTTP2_INTERNAL_ERROR, 0],
    ["CANCEL", constants.NGHTTP2_CANCEL, 0],
    // The runtime takes this one for an end.
    ["NO_ERROR", constants.NGHTTP2_NO_ERROR, 1],
  ])("when the caller resets it with %s", async (_name, code, completed) => {
    const raw = await rawConnection(path);
    raw.send(
      PREFACE,
      settings(),
      frame(FRAME.headers, FLAG.endHeaders, 1, headerBlock(requestFields("/"))),
      frame(FRAME.data, 0, 1, Buffer.from("a")),
      frame(FRAME.rstStream, 0, 1, Buffer.from([0, 0, 0, code])),
      frame(FRAME.ping, 0, 0, Buffer.alloc(8)),
    );
    await raw.waitFor("the ping's answer", ({ type }) => type === FRAME.ping);
    await first().closed;
    expect([String(first().pieces), first().completed]).toEqual(["a", completed]);
    raw.destroy();
  });

  test("when the connection ends", async () => {
    const stream = post();
    stream.on("error", () => {});
    stream.write("a");
    await roundTrip();
    client.destroy();
    await first().closed;
    expect(first().completed).toBe(0);
  });
});

test("nothing is left in the stream's own buffer, and no stream is left open", async () => {
  const bodies = await Promise.all(
    Array.from({ length: 200 }, async (_, index) => {
      const stream = post();
      stream.end(Buffer.alloc(index, index));
      return await answerOf(stream);
    }),
  );
  expect(new Set(bodies)).toEqual(new Set(["answer"]));
  await Promise.all(seen.map(({ closed }) => closed));
  expect(seen.map(({ stream }) => stream.readableLength)).toEqual(seen.map(() => 0));
  expect(seen.map(({ completed }) => completed)).toEqual(seen.map(() => 1));
});
