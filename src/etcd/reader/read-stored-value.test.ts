import { expect, test } from "bun:test";
import { Code } from "@connectrpc/connect";
import { type Behaviour, fails, member, unavailable } from "../../../test/fakes/etcd/members.ts";
import { readStoredValue } from "./read-stored-value.ts";

const signal = new AbortController().signal;
const KEY = "/registry/secrets/n/s";
const objects = [KEY, `${KEY}x`].map((key) => ({ key, value: Buffer.from("k8s\0x"), modRevision: 1n }));
const hold = (behave?: Behaviour) => member(objects, behave === undefined ? {} : { behave });

test("the newest value of that key alone, from the first member that answers", async () => {
  const members = [hold(unavailable), hold(), hold()] as const;
  expect(await readStoredValue(members, KEY, signal)).toEqual({ kind: "plaintext" });
  expect(members.map(({ calls }) => calls.length)).toEqual([1, 1, 0]);
  expect(members[1].calls[0]).toMatchObject({ limit: 1, revision: 0n });
});

test("no value where the key is gone, though a longer one is there", async () => {
  expect(await readStoredValue([member(objects.slice(1))], KEY, signal)).toBeUndefined();
});

test("the last failure when none answers; an abort ends it with its reason", async () => {
  const denied: Behaviour = () => fails(Code.PermissionDenied);
  await expect(readStoredValue([hold(unavailable), hold(denied)], KEY, signal)).rejects.toMatchObject({
    code: Code.PermissionDenied,
  });
  const second = hold();
  const aborted = AbortSignal.abort(new Error("stopped"));
  await expect(readStoredValue([hold(unavailable), second], KEY, aborted)).rejects.toThrow("stopped");
  expect(second.calls).toEqual([]);
});
