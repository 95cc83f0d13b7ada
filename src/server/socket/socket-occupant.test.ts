/** What lies at the socket's path, and whose it is. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { chownSync, lstatSync } from "node:fs";
import { type SocketStage, socketStage } from "../../../test/fakes/socket-stage.ts";

let stage: SocketStage;
beforeEach(() => {
  stage = socketStage();
});
afterEach(() => stage.close());

test.skipIf(process.geteuid?.() !== 0)("a stale socket of another user is not removed", async () => {
  await stage.leaveStaleSocket();
  chownSync(stage.path, 47_190, 0);
  expect(await stage.refusal()).toBe("socket_occupied");
  expect(lstatSync(stage.path).uid).toBe(47_190);
});

test.skipIf(process.geteuid?.() !== 0)("a socket whose group was changed is made again", async () => {
  await stage.open();
  const { gid } = lstatSync(stage.path);
  chownSync(stage.path, 0, gid + 1);
  for (let turn = 0; turn < 400 && stage.events.length === 0; turn += 1) {
    await Bun.sleep(5);
  }
  expect(stage.kinds()).toEqual(["restarted"]);
  expect(lstatSync(stage.path)).toMatchObject({ gid });
});
