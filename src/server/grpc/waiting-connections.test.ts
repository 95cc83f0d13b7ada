import { expect, test } from "bun:test";
import { Socket } from "node:net";
import { WaitingConnections } from "./waiting-connections.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function stage(maxWaiting: number, perTurn: number) {
  const served: Socket[] = [];
  const places = { free: Number.POSITIVE_INFINITY };
  const waiting = new WaitingConnections({
    maxWaiting,
    perTurn,
    makePlace: () => served.length < places.free,
    serve: (socket) => served.push(socket),
  });
  const add = (): Socket => {
    const socket = new Socket();
    waiting.add(socket);
    return socket;
  };
  return { served, places, waiting, add };
}

test("only so many connections are taken in one turn, and as many again in the next", async () => {
  const { served, add } = stage(10, 2);
  const all = [add(), add(), add(), add(), add()];
  expect(served).toEqual(all.slice(0, 2));
  await turn();
  expect(served).toEqual(all.slice(0, 4));
  await turn();
  expect(served).toEqual(all);
});

test("lone connections are taken at once, one in each turn", async () => {
  const { served, add } = stage(10, 1);
  for (let count = 1; count <= 4; count += 1) {
    add();
    expect(served).toHaveLength(count);
    await turn();
  }
});

test("without a place they wait in their order, as many as may, and those that close are forgotten", async () => {
  const { served, places, waiting, add } = stage(2, 8);
  places.free = 0;
  const [first, second, third] = [add(), add(), add()];
  expect([first.destroyed, second.destroyed, third.destroyed]).toEqual([false, false, true]);
  expect(waiting.isEmpty).toBe(false);
  first.destroy();
  await turn();
  const last = add();
  places.free = 8;
  waiting.serve();
  expect(served).toEqual([second, last]);
  expect(waiting.isEmpty).toBe(true);
});

test("an error of a connection that waits ends only that connection", async () => {
  const { places, waiting, add } = stage(2, 8);
  places.free = 0;
  add().destroy(new Error("reset by the peer"));
  await turn();
  expect(waiting.isEmpty).toBe(true);
});

test("once closed, those that wait are closed, and each that comes", () => {
  const { served, places, waiting, add } = stage(2, 8);
  places.free = 0;
  const waits = add();
  waiting.close();
  places.free = 8;
  const late = add();
  waiting.serve();
  expect([waits.destroyed, late.destroyed, served.length]).toEqual([true, true, 0]);
});
