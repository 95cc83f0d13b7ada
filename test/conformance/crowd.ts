/**
 * Many hostile connections at once, which come again as soon as they are closed: `bun crowd.ts PATH KIND`.
 *
 * @module Run as a process of its own, by lock-out.test.ts as another user where it can. Prints how often it connected, each second.
 */
import {
  FLAG,
  GREETING,
  many,
  type RawConnection,
  rawConnection,
  request,
  requestHeaders,
  STATUS,
} from "./raw-http2.ts";

const CONNECTIONS = 80;

async function completeOne(peer: RawConnection): Promise<void> {
  peer.send(...GREETING, request(1, STATUS));
  await peer.answer(1);
}

/** What a connection does before it waits to be closed. */
const KINDS: Readonly<Record<string, (peer: RawConnection) => Promise<void> | void>> = {
  silent: () => {},
  unfinished: (peer) => peer.send(...GREETING, requestHeaders(1, FLAG.endHeaders)),
  "unfinished after a call": async (peer) => {
    await completeOne(peer);
    peer.send(requestHeaders(3, FLAG.endHeaders));
  },
  "idle after a call": completeOne,
  "on all streams at once": (peer) =>
    peer.send(
      ...GREETING,
      many(1000, (index) => requestHeaders(1 + 2 * index, FLAG.endHeaders)),
    ),
  "calling without end": async (peer) => {
    peer.send(...GREETING);
    for (let first = 1; !peer.isClosed && first < 1_000_000; first += 200) {
      peer.send(many(100, (index) => request(first + 2 * index, STATUS)));
      await peer.answer(first + 198);
    }
  },
  "gone after a call": async (peer) => {
    await completeOne(peer);
    peer.destroy();
  },
};

export const CROWDS = Object.keys(KINDS);

if (import.meta.main) {
  const [path = "", kind = ""] = process.argv.slice(2);
  const act = KINDS[kind];
  if (act === undefined) {
    throw new Error(`no such kind: ${kind}`);
  }
  let connected = 0;
  const one = async (): Promise<void> => {
    for (;;) {
      try {
        const peer = await rawConnection(path);
        connected += 1;
        await act(peer);
        await peer.closed;
      } catch {
        // Closed while it acted, or not accepted.
        await Bun.sleep(1);
      }
    }
  };
  for (let index = 0; index < CONNECTIONS; index += 1) {
    void one();
  }
  for (;;) {
    await Bun.sleep(200);
    console.log(connected);
  }
}
