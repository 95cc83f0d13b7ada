import { describe, expect, test } from "bun:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { CALLER } from "../../base/caller.ts";
import { UnaryRequest } from "./unary-request.ts";

const caller = {};
const request = (): UnaryRequest =>
  new UnaryRequest("/s/M", { ":method": "POST" }, new Uint8Array(5), caller);

function codeOf({ signal }: UnaryRequest): Code | undefined {
  const reason: unknown = signal.reason;
  return reason instanceof ConnectError ? reason.code : undefined;
}

test("the values of a call tell its caller", () => {
  expect(request().contextValues.get(CALLER)).toBe(caller);
});

describe("the one signal of a call", () => {
  test("aborts when time is up", async () => {
    const call = request();
    const remainingMs = call.startDeadline(10);
    expect(remainingMs()).toBeGreaterThan(0);
    expect(call.signal.aborted).toBe(false);
    await Bun.sleep(30);
    expect(codeOf(call)).toBe(Code.DeadlineExceeded);
    expect(remainingMs()).toBeLessThanOrEqual(0);
  });

  test("is aborted at once by a deadline without time", () => {
    const call = request();
    call.startDeadline(0);
    expect(codeOf(call)).toBe(Code.DeadlineExceeded);
  });

  test("keeps the first reason", () => {
    const call = request();
    call.startDeadline(1000);
    call.callerIsGone();
    call.stopDeadline();
    expect(codeOf(call)).toBe(Code.Canceled);
  });

  test("stays quiet once its deadline was stopped", async () => {
    const call = request();
    call.startDeadline(5);
    call.stopDeadline();
    await Bun.sleep(20);
    expect(call.signal.aborted).toBe(false);
  });
});

test("its body can be read as Connect reads it", async () => {
  const chunks = await Array.fromAsync(request().body);
  expect(chunks).toEqual([new Uint8Array(5)]);
});
