/** Which of several addresses is asked. */
import { describe, expect, test } from "bun:test";
import {
  A,
  type Answer,
  B,
  C,
  error,
  OK,
  SEALED,
  scriptedOpenBao,
} from "../../../test/fakes/scripted-openbao.ts";

describe("several addresses", () => {
  const down: readonly [string, Answer][] = [
    ["refused", "connect_refused"],
    ["timed out", "timeout"],
    ["lost", "connection_lost"],
    ["untrusted", "tls_untrusted"],
    ["redirecting", "redirect_refused"],
    ["sealed", SEALED],
    ["not initialized", error(501)],
    ["a standby without its leader", error(500, "local node not active but active cluster node not found")],
  ];
  test.each(down)("when the first is %s the next one answers, and calls stay there", async (_, answer) => {
    const { codeOf, origins, nodes, reports } = scriptedOpenBao({ [A]: answer, [B]: OK, [C]: OK });
    expect(await codeOf()).toBe("ok");
    expect(await codeOf()).toBe("ok");
    expect(origins()).toEqual([A, B, B]);
    expect(nodes).toEqual([1]);
    expect(reports).toHaveLength(2);
  });

  test("refusals are answers and stay where they are", async () => {
    const { codeOf, origins } = scriptedOpenBao({ [A]: error(403, "permission denied"), [B]: OK });
    expect(await codeOf()).toBe("permission_denied");
    expect(origins()).toEqual([A]);
  });

  test("a call that must not be made twice moves to the next node only when it surely was not made", async () => {
    const lost = scriptedOpenBao({ [A]: "connection_lost", [B]: OK });
    expect(await lost.codeOf({ idempotent: false })).toBe("connection_lost");
    const refused = scriptedOpenBao({ [A]: "connect_refused", [B]: OK });
    expect(await refused.codeOf({ idempotent: false })).toBe("ok");
  });

  test("a silent one gets half of the time that is left, the last one all", async () => {
    const { codeOf, asked } = scriptedOpenBao({ [A]: "timeout", [B]: "timeout", [C]: OK });
    expect(await codeOf()).toBe("ok");
    expect(asked.map(({ timeoutMs }) => timeoutMs)).toEqual([1000, 1000, 2000]);
  });

  test("an address that is silent is not where the next call starts, also before another one has answered", async () => {
    const silent = Promise.withResolvers<Answer>();
    const { codeOf, origins } = scriptedOpenBao({ [A]: "timeout", [B]: [() => silent.promise, OK], [C]: OK });
    const first = codeOf();
    await Bun.sleep(0);
    expect(await codeOf()).toBe("ok");
    silent.resolve("timeout");
    expect(await first).toBe("ok");
    expect(origins()).toEqual([A, B, B, C]);
  });

  test("an open circuit is no reason to give up when all others have failed this very call", async () => {
    const refusals = Array.from({ length: 5 }, (): Answer => "connect_refused");
    const answers = Array.from({ length: 5 }, (): Answer => OK);
    const { codeOf, asked, origins } = scriptedOpenBao({
      [A]: [...refusals, OK],
      [B]: [...answers, "timeout"],
    });
    await Promise.all(refusals.map(() => codeOf()));
    expect(await codeOf()).toBe("ok");
    expect(origins().slice(-2)).toEqual([B, A]);
    // One that failed lately gets a smaller share of the time than one that is known to be well.
    expect(asked.slice(-2).map(({ timeoutMs }) => timeoutMs)).toEqual([1500, 2000]);
  });

  test("lag is asked for on another address", async () => {
    const { codeOf, clock, origins } = scriptedOpenBao({ [A]: error(404), [B]: OK });
    const answer = codeOf({ lagCodes: new Set(["not_found"]) });
    await clock.advance(100);
    expect(await answer).toBe("ok");
    expect(origins()).toEqual([A, B]);
  });

  test("after a minute one call tries the first again, and all return with it", async () => {
    const { codeOf, clock, origins, asked } = scriptedOpenBao({ [A]: ["connect_refused", OK], [B]: OK });
    await codeOf();
    await clock.advance(59_000);
    await codeOf();
    await clock.advance(1000);
    await codeOf();
    await codeOf();
    expect(origins()).toEqual([A, B, B, A, A]);
    expect(asked).toHaveLength(5);
  });

  test("with all of them dead a call ends at once", async () => {
    const { codeOf, asked } = scriptedOpenBao({
      [A]: SEALED,
      [B]: "connect_refused",
      [C]: "connect_refused",
    });
    for (let call = 0; call < 6; call += 1) {
      await codeOf();
    }
    const before = asked.length;
    expect(await codeOf()).toBe("circuit_open");
    expect(asked).toHaveLength(before);
  });
});
