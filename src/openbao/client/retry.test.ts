/** What is asked again, how often, and until when. */
import { describe, expect, test } from "bun:test";
import { A, type Answer, error, OK, scriptedOpenBao } from "../../../test/fakes/scripted-openbao.ts";
import { type FailedAttempt, type NextStep, nextStep } from "./retry.ts";

describe("what follows a failure", () => {
  const failed: FailedAttempt = {
    code: "connection_lost",
    idempotent: true,
    lagCodes: undefined,
    retries: { lag: 0, lostConnection: 0 },
    anotherNode: false,
    remainingMs: 1,
  };
  test.each<[string, Partial<FailedAttempt>, NextStep]>([
    ["time is left", {}, { kind: "same_node" }],
    ["no time is left", { remainingMs: 0 }, { kind: "give_up" }],
    ["no time is left for another node", { anotherNode: true, remainingMs: 0 }, { kind: "give_up" }],
    ["another node is there", { anotherNode: true }, { kind: "other_node" }],
    ["a pause just fits", { code: "standby_behind", remainingMs: 51 }, { kind: "later", delayMs: 50 }],
    ["a pause takes all the time", { code: "standby_behind", remainingMs: 50 }, { kind: "give_up" }],
    ["it was tried again before", { retries: { lag: 0, lostConnection: 1 } }, { kind: "give_up" }],
    ["it must not be made twice", { idempotent: false }, { kind: "give_up" }],
  ])("%s", (_name, change, step) => {
    expect(nextStep({ ...failed, ...change })).toEqual(step);
  });
});

describe("retry", () => {
  test("a connection that died under an idempotent call costs one more try, on a fresh connection", async () => {
    const { codeOf, asked, reports } = scriptedOpenBao({ [A]: ["connection_lost", OK] });
    expect(await codeOf()).toBe("ok");
    expect(asked.map(({ freshConnection }) => freshConnection)).toEqual([false, true]);
    expect(reports).toHaveLength(1);
  });

  test("but no third one, and none for a call that must not be made twice", async () => {
    const dead = scriptedOpenBao({ [A]: "connection_lost" });
    expect(await dead.codeOf()).toBe("connection_lost");
    expect(dead.asked).toHaveLength(2);
    const once = scriptedOpenBao({ [A]: "connection_lost" });
    expect(await once.codeOf({ idempotent: false })).toBe("connection_lost");
    expect(once.asked).toHaveLength(1);
  });

  test("answers of a lagging standby are asked for again inside the deadline, the time left shrinking", async () => {
    const lag = error(400, "invalid ciphertext: version is too new");
    const { codeOf, clock, asked } = scriptedOpenBao({ [A]: [lag, lag, OK] });
    const answer = codeOf({ lagCodes: new Set(["version_too_new"]) });
    await clock.advance(2000);
    expect(await answer).toBe("ok");
    expect(asked.map(({ timeoutMs }) => timeoutMs)).toEqual([2000, 1950, 1850]);
    expect(asked.at(-1)?.freshConnection).toBe(true);
  });

  test("lag that lasts ends with its own answer before the deadline", async () => {
    const { codeOf, clock, asked } = scriptedOpenBao({ [A]: error(404) });
    const answer = codeOf({ lagCodes: new Set(["not_found"]), timeoutMs: 300 });
    await clock.advance(300);
    expect(await answer).toBe("not_found");
    expect(asked).toHaveLength(3);
  });

  test("lag that ends in silence is still lag: a denial is not told as a timeout", async () => {
    const { codeOf, clock } = scriptedOpenBao({ [A]: [error(403), "timeout"] });
    const answer = codeOf({ lagCodes: new Set(["permission_denied"]) });
    await clock.advance(2000);
    expect(await answer).toBe("permission_denied");
  });

  test("a caller that gives up during the pause gets the answer that there was", async () => {
    const { codeOf } = scriptedOpenBao({ [A]: error(404) });
    const caller = new AbortController();
    const answer = codeOf({ lagCodes: new Set(["not_found"]), signal: caller.signal });
    setTimeout(() => caller.abort(), 5);
    expect(await answer).toBe("not_found");
  });

  test("a caller that gives up while it is asked again gets the answer that there was", async () => {
    const caller = new AbortController();
    const givesUp = (): Promise<Answer> => {
      caller.abort();
      return Promise.resolve("canceled");
    };
    const { codeOf, clock } = scriptedOpenBao({ [A]: [error(404), givesUp] });
    const answer = codeOf({ lagCodes: new Set(["not_found"]), signal: caller.signal });
    await clock.advance(50);
    expect(await answer).toBe("not_found");
  });
});
